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
	Kind       engine.Kind // given by the path; 0 if each message has its own type
	ReceivedAt int64       // Unix ms
	SentAt     int64       // Unix ms; 0 if the request does not say
	Context    []byte      // an object, merged into each message's context; nil if there is none
	Import     bool        // messages may be profile rows, and have $time and $string values
	Source     string      // identifies an imported file, whose messages are identified by their _line
	NewID      func() string
}

// Decoder reads messages one after another. It is for one goroutine. What it returns is valid until
// Reuse.
type Decoder struct {
	limits Limits
	json   scanner
	text   string // the text that json reads; values are substrings of it
	names  names
	index  int // number of names read so far in this message: see object
	// nameInterned is true if the name read last is an interned string. known is the interned form of
	// path if path is a single name, else "".
	nameInterned bool
	known        string
	skimming     bool                // Split finds only the ends of messages
	repaired     bool                // the text has been changed: see repair
	slab         []engine.NamedField // the messages' fields are cut from it
	restSlab     []byte              // and their Context from this
	path         []byte
	quoted       []byte
	notes        []Note
	env          *Envelope

	traits, properties, inherited fieldSet
	seen                          parts
}

// names are the names of earlier messages: most messages have the same few.
type names struct {
	interned map[string]string
	expected []expectedName // by index
}

// maxNames is the largest number of interned names; beyond it all are dropped.
const maxNames = 8192

// NewDecoder returns a Decoder with limits.
func NewDecoder(limits Limits) *Decoder {
	return &Decoder{limits: limits.WithDefaults(), names: names{interned: make(map[string]string)}}
}

// Reuse makes the memory of all messages read so far available to later ones. REQUIRES: none of them is
// in use any more.
func (d *Decoder) Reuse() {
	clear(d.slab) // values refer to the body that they were cut from
	d.slab, d.restSlab = d.slab[:0], d.restSlab[:0]
}

// Notes returns the notes on the last message. They are valid until the next message.
func (d *Decoder) Notes() []Note { return d.notes }

// Line returns the _line of a message, also of a refused one; 0 if it has none.
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
	rest                           []byte // further members, each after a comma
}

// Message decodes one message. The error is a *node.Error. The message shares memory with raw, which must
// not change any more. If raw is valid except for its Unicode, invalid Unicode is replaced by U+FFFD and
// a note says so; ids are never changed.
func (d *Decoder) Message(raw []byte, env *Envelope) (engine.Incoming, error) {
	return d.readRepairing(raw, env, d.message)
}

// replaced is the text of a note on replaced Unicode.
const replaced = "invalid Unicode (half a surrogate pair, or bytes that are not UTF-8) was replaced by U+FFFD"

// readRepairing reads a message; if it is not valid JSON, it repairs its Unicode and reads it once more.
func (d *Decoder) readRepairing(raw []byte, env *Envelope, read func([]byte, *Envelope) (engine.Incoming, error)) (engine.Incoming, error) {
	m, err := read(raw, env)
	if err == nil {
		return m, nil
	}
	var refusal *node.Error
	if !errors.As(err, &refusal) || refusal.Code != codes.BadJSON && refusal.Code != codes.BadUTF8 {
		return m, err
	}
	repaired, ok := repair(raw)
	if !ok {
		return m, err
	}
	d.repaired = true
	m, err = read(repaired, env)
	d.repaired = false
	if err == nil {
		d.note(codes.BadUTF8, replaced)
	}
	return m, err
}

func (d *Decoder) message(raw []byte, env *Envelope) (engine.Incoming, error) {
	d.index = 0
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
		return engine.Incoming{}, refuse(codes.BadJSON, "there is something after the end of the message")
	}
	return d.assemble()
}

// open makes d read raw, which must not change while anything cut from it is in use.
func (d *Decoder) open(raw []byte) {
	d.json.reset(raw)
	d.text = unsafe.String(unsafe.SliceData(raw), len(raw))
}

// object reads an object and calls member with each name, which is valid until the next read. REQUIRES:
// the next token begins an object.
func (d *Decoder) object(member func(name string) error) error {
	if err := d.json.enter(); err != nil {
		return d.syntax(err)
	}
	for {
		name, ok := d.expectedName()
		if !ok {
			if d.json.peek() == '}' {
				return d.syntax(d.json.leave())
			}
			key, err := d.json.value()
			if err != nil {
				return d.syntax(err)
			}
			name = d.expectName(key)
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// expectedName is a name of the last message. Messages of one sender have the same names in the same
// order, and comparing the text with the expected name is cheaper than reading it. text is the name in
// quotes with the colon after it.
type expectedName struct{ text, name string }

// maxExpected is the largest number of names of a message that are expected in the next one.
const maxExpected = 64

// expectedName reads the next name if it is the one at the same index in the last message.
func (d *Decoder) expectedName() (name string, ok bool) {
	d.index++
	if d.index > len(d.names.expected) {
		return "", false
	}
	next := &d.names.expected[d.index-1]
	if next.text == "" || !d.json.expected(next.text) {
		return "", false
	}
	d.nameInterned = true
	return next.name, true
}

// expectName returns the name in key, the value just read, and expects it at this index in the next
// message.
func (d *Decoder) expectName(key jsontext.Value) string {
	d.nameInterned = false
	if !d.json.plain {
		return string(d.unquoted(key))
	}
	text := d.here(key)
	at, end := d.json.at-len(key), d.json.at+1
	if d.index > maxExpected || end > len(d.text) || d.text[end-1] != ':' {
		return text[1 : len(text)-1]
	}
	for len(d.names.expected) < d.index {
		d.names.expected = append(d.names.expected, expectedName{})
	}
	next := &d.names.expected[d.index-1]
	next.text = d.intern(d.text[at:end])
	next.name, d.nameInterned = next.text[1:len(next.text)-2], true
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

// label reads the name or category of a page. A value that is not a string is kept in the rest.
func (d *Decoder) label(name string) (string, error) {
	if d.json.peek() == '"' {
		return d.string(name, d.limits.String)
	}
	return "", d.further(name)
}

// further keeps a member that Muster does not interpret.
func (d *Decoder) further(name string) error {
	raw, err := d.raw()
	if err != nil {
		return err
	}
	d.keep(name, raw)
	return nil
}

// keep adds a member to the rest of the message, unless it is empty.
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

// plainName reports whether a name certainly needs no escapes.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// raw reads a value of any kind and returns its text. It checks the nesting, since the value may be
// parsed later.
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

// tooDeep reports whether v is nested more than limit levels deep. REQUIRES: v is valid JSON.
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

// string reads a string; null counts as "".
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
		if d.repaired && isID(name) && strings.ContainsRune(s, '\uFFFD') { // different ids might become equal
			return "", refuse(codes.BadUTF8, "%s is not valid Unicode", name)
		}
		return s, nil
	}
	if isID(name) {
		return "", refuse(codes.BadID, "%s is neither a string nor a number", name)
	}
	return "", refuse(notString(name), "%s is not a string", name)
}

// notString returns the code for a member that must be a string and is not.
func notString(name string) string {
	switch name {
	case "type":
		return codes.BadType
	case "specversion":
		return codes.BadSpecVersion
	}
	return codes.BadEvent
}

// isID reports whether a member of a message or CloudEvent is an id.
func isID(name string) bool {
	return strings.HasSuffix(name, "Id") || name == "id" || name == "subject"
}

// id reads an id. A whole number counts as its text, since many senders number their users.
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
		return "", refuse(codes.BadID, "%s is a number with a fraction or exponent: send ids as strings", name)
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

// here returns the text of v, the value just read, without a copy.
func (d *Decoder) here(v jsontext.Value) string {
	end := d.json.at
	return d.text[end-len(v) : end]
}

// cut returns the contents of v, the string just read, without a copy if it has no escapes.
func (d *Decoder) cut(v jsontext.Value) string {
	if d.json.plain {
		s := d.here(v)
		return s[1 : len(s)-1]
	}
	return string(d.unquoted(v))
}

// unquoted returns the contents of the string v. They are valid until the next call.
func (d *Decoder) unquoted(v jsontext.Value) []byte {
	d.quoted, _ = jsontext.AppendUnquote(d.quoted[:0], v) // v has been read, so it is valid
	return d.quoted
}

// intern returns the one string that equals name.
func (d *Decoder) intern(name string) string {
	if s, ok := d.names.interned[name]; ok {
		return s
	}
	return d.remember(name)
}

// internBytes is intern for a name in a buffer that will change.
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

// syntax turns an error of the scanner into a refusal; nil stays nil. It reads the text again with
// jsontext to find out what is wrong.
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
