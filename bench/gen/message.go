package gen

import (
	"strconv"
	"time"

	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
)

// UserID returns the id of a customer. Ids follow several naming schemes.
func UserID(number int) string { return string(naming.AppendPerson(nil, number)) }

// Email returns the e-mail address of a customer.
func Email(number int) string { return string(appendEmail(nil, number)) }

func appendEmail(dst []byte, number int) []byte {
	dst = append(dst, mailboxes[number%len(mailboxes)]...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, "@example.com"...)
}

// mailboxes are the beginnings of the addresses, used in turn.
var mailboxes = [4]string{"user", "ana.", "mail", "k-m_"}

// AppendMessage appends the profile as one line of NDJSON for POST /v1/events.
func (p *Profile) AppendMessage(dst []byte) []byte {
	dst = append(dst, `{"type":"profile","userId":"`...)
	dst = naming.AppendPerson(dst, p.Number)
	dst = append(dst, `","traits":{"country":"`...)
	dst = append(dst, p.Country...)
	dst = append(dst, `","plan":"`...)
	dst = append(dst, p.Plan...)
	if p.Age > 0 {
		dst = append(dst, `","age":`...)
		dst = strconv.AppendInt(dst, int64(p.Age), 10)
		dst = append(dst, `,"ltv":`...)
	} else {
		dst = append(dst, `","ltv":`...)
	}
	dst = appendCents(dst, p.LTVCents)
	dst = append(dst, `,"signed_up_at":"`...)
	dst = time.UnixMilli(p.SignedUpAt).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","opt_in":`...)
	dst = strconv.AppendBool(dst, p.OptIn)
	dst = append(dst, `,"platform":"`...)
	dst = append(dst, p.Platform...)
	dst = append(dst, `","email":"`...)
	dst = appendEmail(dst, p.Number)
	return append(dst, "\"}}\n"...)
}

// AppendMessage appends the event as one line of NDJSON for POST /v1/events.
func (e *Event) AppendMessage(dst []byte) []byte {
	dst = append(dst, `{"type":"track","userId":"`...)
	dst = naming.AppendPerson(dst, e.User)
	dst = append(dst, `","event":"`...)
	dst = append(dst, e.Name...)
	dst = append(dst, `","timestamp":`...)
	dst = strconv.AppendInt(dst, e.Time, 10)
	if e.Category != "" {
		dst = append(dst, `,"properties":{"amount":`...)
		dst = appendCents(dst, e.AmountCents)
		dst = append(dst, `,"category":"`...)
		dst = append(dst, e.Category...)
		dst = append(dst, `"}`...)
	}
	return append(dst, "}\n"...)
}

// appendCents appends hundredths as a decimal number.
func appendCents(dst []byte, cents int64) []byte {
	dst = strconv.AppendInt(dst, cents/100, 10)
	return append(dst, '.', byte('0'+cents/10%10), byte('0'+cents%10))
}

// Incoming returns the profile as the engine receives it. source and line identify it.
func (p *Profile) Incoming(source string, line uint64, receivedAt int64) engine.Incoming {
	fields := []engine.NamedField{
		{Name: "country", Value: tree.Str(p.Country)},
		{Name: "plan", Value: tree.Str(p.Plan)},
		{Name: "ltv", Value: tree.Num(tree.Decimal(p.LTVCents, 2))},
		{Name: "signed_up_at", Value: tree.Time(p.SignedUpAt)},
		{Name: "opt_in", Value: tree.Bool(p.OptIn)},
		{Name: "platform", Value: tree.Str(p.Platform)},
		{Name: "email", Value: tree.Str(Email(p.Number))},
	}
	if p.Age > 0 {
		fields = append(fields, engine.NamedField{Name: "age", Value: tree.NumInt(int64(p.Age))})
	}
	return engine.Incoming{Kind: engine.Profile, Source: source, Line: line, UserID: UserID(p.Number),
		Time: receivedAt, ReceivedAt: receivedAt, Fields: fields}
}

// Incoming returns the event as the engine receives it. source and line identify it.
func (e *Event) Incoming(source string, line uint64, receivedAt int64) engine.Incoming {
	m := engine.Incoming{Kind: engine.Track, Source: source, Line: line, UserID: UserID(e.User),
		Event: e.Name, Time: e.Time, ReceivedAt: receivedAt}
	if e.Category != "" {
		m.Fields = []engine.NamedField{
			{Name: "amount", Value: tree.Num(tree.Decimal(e.AmountCents, 2))},
			{Name: "category", Value: tree.Str(e.Category)},
		}
	}
	return m
}
