package decode

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// Envelope is what a request says about all its messages.
type Envelope struct {
	Kind       engine.Kind // of the path; 0 when each message has its type
	ReceivedAt int64       // Unix ms
	SentAt     int64       // Unix ms; 0 when the request does not say
	Context    []byte      // an object merged under each message's own context; nil without one
	Import     bool        // the message may be a profile row and hold $time and $string values
	Source     string      // the identity of an imported file: messages are known by their _line
	NewID      func() string
}

// Decoder reads messages one after another. It is for one goroutine; what it returned stays valid until
// Reuse.
type Decoder struct {
	limits Limits
	json   scanner
	text   string // what json reads, as a string: values are cut out of it without a copy each
	names  names
	turn   int // of the next name of the message
	// lasting tells that the name read last is an interned one. known is the interned form of path while
	// path is one name; "" below it.
	lasting  bool
	known    string
	skimming bool                // Split leaves it to others to read the messages
	mended   bool                // the text is not as it came: see mend
	slab     []engine.NamedField // messages cut their fields from it
	restSlab []byte              // and their Context
	path     []byte
	quoted   []byte
	notes    []Note
	env      *Envelope

	traits, properties, inherited fieldSet
	seen                          parts
}

// names are those of earlier messages: the same few come with every one.
type names struct {
	interned map[string]string
	foretold []foretelling // by their turn
}

// maxNames bounds the interned names, so that a storm of names does not stay in memory.
const maxNames = 8192

// NewDecoder returns a Decoder with limits.
func NewDecoder(limits Limits) *Decoder {
	return &Decoder{limits: limits.WithDefaults(), names: names{interned: make(map[string]string)}}
}

// Reuse gives the memory of all messages read so far to the next ones. REQUIRES: nobody looks at any of
// them any more.
func (d *Decoder) Reuse() {
	clear(d.slab) // values keep the body that they were cut from
	d.slab, d.restSlab = d.slab[:0], d.restSlab[:0]
}

// Notes returns what the last message lost as columns. It is valid until the next message.
func (d *Decoder) Notes() []Note { return d.notes }

// Line returns the _line that a message gives itself, also if it was refused; 0 if it gives none.
func Line(raw []byte) (n uint64) {
	const name = `"_line":`
	at := bytes.LastIndex(raw, []byte(name))
	if at < 0 {
		return 0
	}
	for _, c := range bytes.TrimLeft(raw[at+len(name):], " ") {
		if c < '0' || c > '9' || n > 1<<59 {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// parts are the top-level members of one message.
type parts struct {
	kind                           string
	message, user, anon, prev      string
	group, event, name, category   string
	timestamp, original, sent      instant
	line                           uint64
	hasLine                        bool
	context, traitsRaw, properties string // as received
	rest                           []byte // further members, each behind a comma
}

// Message decodes one message. The error is a *node.Error. The message shares memory with raw, which
// must not change any more. Where raw is good but for what is no Unicode, that is replaced by U+FFFD, and
// a note says so; ids are never changed.
func (d *Decoder) Message(raw []byte, env *Envelope) (engine.Incoming, error) {
	return d.mending(raw, env, d.message)
}

// replaced is what the notes say of texts that were mended.
const replaced = "what is no Unicode (half a surrogate pair, or bytes that are no UTF-8) was replaced by U+FFFD"

// mending reads a message, and where it is not JSON once more without what is no Unicode in it.
func (d *Decoder) mending(raw []byte, env *Envelope, read func([]byte, *Envelope) (engine.Incoming, error)) (engine.Incoming, error) {
	m, err := read(raw, env)
	if err == nil {
		return m, nil
	}
	var refusal *node.Error
	if !errors.As(err, &refusal) || refusal.Code != codes.BadJSON && refusal.Code != codes.BadUTF8 {
		return m, err
	}
	mended, ok := mend(raw)
	if !ok {
		return m, err
	}
	d.mended = true
	m, err = read(mended, env)
	d.mended = false
	if err == nil {
		d.note(codes.BadUTF8, replaced)
	}
	return m, err
}

func (d *Decoder) message(raw []byte, env *Envelope) (engine.Incoming, error) {
	d.turn = 0
	d.env, d.notes, d.seen = env, d.notes[:0], parts{rest: d.seen.rest[:0]}
	d.traits.reset()
	d.properties.reset()
	d.open(raw)
	if d.json.peek() != '{' {
		if _, err := d.json.value(); err != nil {
			return engine.Incoming{}, d.syntax(err)
		}
		return engine.Incoming{}, refuse(codes.BadJSON, "a message is a JSON object")
	}
	if err := d.object(d.member); err != nil {
		return engine.Incoming{}, err
	}
	if !d.json.end() {
		return engine.Incoming{}, refuse(codes.BadJSON, "there is something behind the end of the message")
	}
	return d.assemble()
}

// open makes d read raw, which must not change as long as anything cut from it lives.
func (d *Decoder) open(raw []byte) {
	d.json.reset(raw)
	d.text = unsafe.String(unsafe.SliceData(raw), len(raw))
}

// object reads an object and calls member for each name; name is valid until the next read.
// REQUIRES: an object begins here.
func (d *Decoder) object(member func(name string) error) error {
	if err := d.json.enter(); err != nil {
		return d.syntax(err)
	}
	for {
		name, ok := d.foretold()
		if !ok {
			if d.json.peek() == '}' {
				return d.syntax(d.json.leave())
			}
			key, err := d.json.value()
			if err != nil {
				return d.syntax(err)
			}
			name = d.foretell(key)
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// foretelling is a name that a message had: messages of one sender have the same names in the same
// order, and looking whether it comes again is less than reading it. text is the name in its quotes and
// the colon behind.
type foretelling struct{ text, name string }

// maxForetold is the number of names of a message that are looked for again.
const maxForetold = 64

// foretold reads the next name if it is the one that stood here in the message before.
func (d *Decoder) foretold() (name string, ok bool) {
	d.turn++
	if d.turn > len(d.names.foretold) {
		return "", false
	}
	next := &d.names.foretold[d.turn-1]
	if next.text == "" || !d.json.foretold(next.text) {
		return "", false
	}
	d.lasting = true
	return next.name, true
}

// foretell returns the name that key, the value just read, holds, and remembers it for the next message.
func (d *Decoder) foretell(key jsontext.Value) string {
	d.lasting = false
	if !d.json.plain {
		return string(d.unquoted(key))
	}
	text := d.here(key)
	at, end := d.json.at-len(key), d.json.at+1
	if d.turn > maxForetold || end > len(d.text) || d.text[end-1] != ':' {
		return text[1 : len(text)-1]
	}
	for len(d.names.foretold) < d.turn {
		d.names.foretold = append(d.names.foretold, foretelling{})
	}
	next := &d.names.foretold[d.turn-1]
	next.text = d.intern(d.text[at:end])
	next.name, d.lasting = next.text[1:len(next.text)-2], true
	return next.name
}

// member reads one top-level member of a message.
func (d *Decoder) member(name string) (err error) {
	p := &d.seen
	switch name {
	case "type":
		p.kind, err = d.string("type", d.limits.Name)
	case "event":
		p.event, err = d.string("event", d.limits.Name)
	case "messageId":
		p.message, err = d.id("messageId")
	case "userId":
		p.user, err = d.id("userId")
	case "anonymousId":
		p.anon, err = d.id("anonymousId")
	case "previousId":
		p.prev, err = d.id("previousId")
	case "groupId":
		p.group, err = d.id("groupId")
	case "timestamp":
		p.timestamp, err = d.instant()
	case "originalTimestamp":
		p.original, err = d.instant()
	case "sentAt":
		p.sent, err = d.instant()
	case "traits":
		p.traitsRaw, err = d.fields(&d.traits)
	case "properties":
		p.properties, err = d.fields(&d.properties)
	case "context":
		p.context, err = d.raw()
	case "_line":
		p.line, p.hasLine, err = d.lineNumber()
	case "name":
		p.name, err = d.label("name")
	case "category":
		p.category, err = d.label("category")
	case "writeKey", "receivedAt": // a secret, and what only the server can say
		_, err = d.raw()
	default:
		err = d.further(name)
	}
	return err
}

// label reads the name or category of a page: a string is one, anything else is kept as it came.
func (d *Decoder) label(name string) (string, error) {
	if d.json.peek() == '"' {
		return d.string(name, d.limits.String)
	}
	return "", d.further(name)
}

// further keeps a member that Muster gives no meaning to.
func (d *Decoder) further(name string) error {
	raw, err := d.raw()
	if err != nil {
		return err
	}
	d.keep(name, raw)
	return nil
}

// keep adds a member to the rest of the message; empty ones say nothing.
func (d *Decoder) keep(name, raw string) {
	switch raw {
	case "", "null", "{}", "[]":
		return
	}
	d.seen.rest = appendMember(d.seen.rest, name, raw)
}

func appendMember(b []byte, name, raw string) []byte {
	b = append(b, ',')
	if plainName(name) {
		b = append(append(append(b, '"'), name...), '"')
	} else {
		b, _ = jsontext.AppendQuote(b, name) // names came from valid JSON
	}
	b = append(b, ':')
	return append(b, raw...)
}

// plainName tells whether a name needs no escapes for certain.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// raw reads a value of any kind, unparsed. Nesting is bounded here too, since it is parsed later.
func (d *Decoder) raw() (string, error) {
	v, err := d.json.value()
	if err != nil {
		return "", d.syntax(err)
	}
	if tooDeep(v, d.limits.Depth) {
		return "", d.deep()
	}
	return d.here(v), nil
}

func (d *Decoder) deep() error {
	return refuse(codes.TooDeep, "the message is nested deeper than %d levels", d.limits.Depth)
}

// tooDeep tells whether v has more than limit brackets open at once. REQUIRES: v is valid JSON.
func tooDeep(v []byte, limit int) bool {
	if len(v) <= 2*limit || bytes.Count(v, []byte{'{'})+bytes.Count(v, []byte{'['}) <= limit {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// string reads a string; null is "".
func (d *Decoder) string(name string, limit int) (string, error) {
	v, err := d.json.value()
	if err != nil {
		return "", d.syntax(err)
	}
	switch v.Kind() {
	case 'n':
		return "", nil
	case '"':
		s := d.cut(v)
		if len(s) > limit {
			return "", refuse(codes.TooLong, "%s is %d bytes long: at most %d", name, len(s), limit)
		}
		if d.mended && isID(name) && strings.ContainsRune(s, '\uFFFD') { // two ids might become one
			return "", refuse(codes.BadUTF8, "%s is not valid Unicode", name)
		}
		return s, nil
	}
	if isID(name) {
		return "", refuse(codes.BadID, "%s is neither a string nor a number", name)
	}
	return "", refuse(notString(name), "%s is not a string", name)
}

// notString is the code of a member that is no string and has to be one.
func notString(name string) string {
	switch name {
	case "type":
		return codes.BadType
	case "specversion":
		return codes.BadSpecVersion
	}
	return codes.BadEvent
}

// isID tells whether a member of a message, or of a CloudEvent, is an id.
func isID(name string) bool {
	return strings.HasSuffix(name, "Id") || name == "id" || name == "subject"
}

// id reads an id; a whole number is taken as its text, since many senders number their users.
func (d *Decoder) id(name string) (string, error) {
	if d.json.peek() != '0' {
		return d.string(name, d.limits.ID)
	}
	v, err := d.json.value()
	if err != nil {
		return "", d.syntax(err)
	}
	if len(v) > d.limits.ID {
		return "", refuse(codes.TooLong, "%s is %d bytes long: at most %d", name, len(v), d.limits.ID)
	}
	if bytes.ContainsAny(v, ".eE") {
		return "", refuse(codes.BadID, "%s is a number with decimals: send ids as strings", name)
	}
	return d.here(v), nil
}

func (d *Decoder) lineNumber() (uint64, bool, error) {
	v, err := d.json.value()
	if err != nil {
		return 0, false, d.syntax(err)
	}
	n, ok := uint64(0), len(v) > 0 && len(v) < 19
	for _, c := range v {
		ok = ok && c >= '0' && c <= '9'
		n = n*10 + uint64(c-'0')
	}
	if !ok {
		return 0, false, refuse(codes.BadLine, "_line is not a line number")
	}
	return n, true, nil
}

// here returns the text of v, the value just read, without copying.
func (d *Decoder) here(v jsontext.Value) string {
	end := d.json.at
	return d.text[end-len(v) : end]
}

// cut returns the string that v, the string just read, holds.
func (d *Decoder) cut(v jsontext.Value) string {
	if d.json.plain {
		s := d.here(v)
		return s[1 : len(s)-1]
	}
	return string(d.unquoted(v))
}

// unquoted returns the bytes of the string v without its escapes, valid until the next call.
func (d *Decoder) unquoted(v jsontext.Value) []byte {
	d.quoted, _ = jsontext.AppendUnquote(d.quoted[:0], v) // v has been read, so it is valid
	return d.quoted
}

// intern returns name as a string that is made once.
func (d *Decoder) intern(name string) string {
	if s, ok := d.names.interned[name]; ok {
		return s
	}
	return d.remember(name)
}

// internBytes is intern of a name that will change.
func (d *Decoder) internBytes(name []byte) string {
	if s, ok := d.names.interned[string(name)]; ok {
		return s
	}
	return d.remember(string(name))
}

func (d *Decoder) remember(name string) string {
	if len(d.names.interned) >= maxNames {
		clear(d.names.interned)
	}
	s := strings.Clone(name)
	d.names.interned[s] = s
	return s
}

// syntax makes a refusal of an error of the scanner; nil stays nil. jsontext reads the text again to
// say what is wrong with it.
func (d *Decoder) syntax(err error) error {
	if err == nil {
		return nil
	}
	again := jsontext.NewDecoder(strings.NewReader(d.text), jsontext.AllowDuplicateNames(true))
	for err = nil; err == nil; {
		_, err = again.ReadToken()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(codes.BadJSON, "not valid JSON: it ends in the middle")
	}
	text := strings.TrimPrefix(err.Error(), "jsontext: ")
	if strings.Contains(text, "invalid UTF-8") {
		return refuse(codes.BadUTF8, "not valid UTF-8")
	}
	if strings.Contains(text, "max depth") {
		return d.deep()
	}
	return refuse(codes.BadJSON, "not valid JSON: %s", text)
}
