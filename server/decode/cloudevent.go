package decode

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
)

// CloudEvent decodes a CloudEvents 1.0 event in structured form as a track call: the subject is the user,
// the type is the event, and the members of data are the properties. The error is a *node.Error. Source:
// CloudEvents 1.0.2, JSON format.
func (d *Decoder) CloudEvent(raw []byte, env *Envelope) (engine.Incoming, error) {
	return d.readRepairing(raw, env, d.cloudEvent)
}

func (d *Decoder) cloudEvent(raw []byte, env *Envelope) (engine.Incoming, error) {
	own := *env
	own.Kind = engine.Track
	env = &own
	d.env, d.notes, d.seen = env, d.notes[:0], parts{rest: d.seen.rest[:0]}
	d.traits.reset()
	d.properties.reset()
	d.index = 0
	d.open(raw)
	if d.json.peek() != '{' {
		return engine.Incoming{}, refuse(codes.BadJSON, "a CloudEvent is a JSON object")
	}
	version := ""
	err := d.object(func(name string) (err error) {
		p := &d.seen
		switch name {
		case "specversion":
			version, err = d.string("specversion", d.limits.Name)
		case "id":
			p.message, err = d.string("id", d.limits.ID)
		case "type":
			p.event, err = d.string("type", d.limits.Name)
		case "subject":
			p.user, err = d.string("subject", d.limits.ID)
		case "time":
			p.timestamp, err = d.instant()
		case "data":
			p.properties, err = d.fields(&d.properties)
		default:
			err = d.further(name)
		}
		return err
	})
	if err != nil {
		return engine.Incoming{}, err
	}
	if !d.json.end() {
		return engine.Incoming{}, refuse(codes.BadJSON, "there is something after the end of the event")
	}
	switch {
	case version != "1.0":
		return engine.Incoming{}, refuse(codes.BadVersion, "specversion is %q: only 1.0 is supported", version)
	case d.seen.user == "":
		return engine.Incoming{}, refuse(codes.NoID, "the CloudEvent has no subject to be the userId")
	case d.seen.message == "":
		return engine.Incoming{}, refuse(codes.NoID, "the CloudEvent has no id")
	}
	return d.assemble()
}

// StructuredCloudEvent returns the structured form of a binary event: the attributes come from the ce-
// headers and the data from the body. It checks nothing: CloudEvent refuses an event whose attributes are
// missing.
func StructuredCloudEvent(header http.Header, body []byte) []byte {
	event := []byte{'{'}
	member := func(name string, value []byte) {
		if len(event) > 1 {
			event = append(event, ',')
		}
		event, _ = jsontext.AppendQuote(event, strings.ToValidUTF8(name, "\uFFFD"))
		event = append(append(event, ':'), value...)
	}
	quoted := func(text string) []byte {
		q, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD")) // valid UTF-8 always quotes
		return q
	}
	for name, values := range header {
		if attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok && len(values) > 0 {
			text, err := url.PathUnescape(values[0]) // the HTTP binding percent-encodes
			if err != nil {
				text = values[0]
			}
			member(attribute, quoted(text))
		}
	}
	body = bytes.TrimSpace(body)
	media := header.Get("Content-Type")
	switch {
	case len(body) == 0:
	case media == "" || strings.Contains(media, "json"):
		member("data", body) // if it is not JSON, neither is the event
	default:
		member("datacontenttype", quoted(media))
		member("data_base64", quoted(base64.StdEncoding.EncodeToString(body)))
	}
	return append(event, '}')
}
