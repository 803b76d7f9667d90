package webhook

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/musterdb/muster/server/render"
)

// Message is one POST with all its tries.
type Message struct {
	Hook    string          `json:"hook"`
	ID      string          `json:"id"`
	Profile string          `json:"profile,omitempty"` // the messages about one profile keep their order
	Body    json.RawMessage `json:"body"`
	At      time.Time       `json:"at"` // when it was made
	Attempt int             `json:"attempt"`
	Due     time.Time       `json:"due,omitzero"`
	Error   string          `json:"error,omitempty"` // of the last try
	Dead    bool            `json:"dead,omitempty"`
	Start   string          `json:"start,omitempty"` // cursor before its change, if known

	before   string // like Start; "" for a message that is in the table, which is not read again
	inFlight bool
}

func (m *Message) key() string { return "message/" + m.Hook + "/" + m.ID }

// schedule has the delays before the tries, each counted from the previous try, as Standard Webhooks
// defines.
var schedule = [...]time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const throttleLeast = 5 * time.Second

// jitter adds up to a fifth to d, so that messages that failed together are not retried together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/5+1) }

// makeMessages turns a batch of changes into messages: one for each change, or a single one for a cohort
// batch.
func makeMessages(hook *Hook, changes []render.Change, start string, now time.Time) []*Message {
	if len(changes) == 0 {
		return nil
	}
	if hook.Format == render.CohortBatch {
		list := make([]*render.Change, len(changes))
		for i := range changes {
			list[i] = &changes[i]
		}
		return []*Message{{Hook: hook.Name, ID: "msg-" + changes[0].ID + "-" + strconv.Itoa(len(changes)),
			Body: render.AppendCohort(nil, hook.Segment, list), At: now, Start: start, before: start}}
	}
	messages := make([]*Message, len(changes))
	for i := range changes {
		c := &changes[i]
		m := &Message{Hook: hook.Name, ID: "msg-" + c.ID, Profile: c.Profile, At: now, Start: start, before: start}
		if hook.Format == render.Native {
			event := "segment.exited"
			if c.Enter {
				event = "segment.entered"
			}
			b := fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"data":{"id":%q,`, event, render.Time(c.At), c.ID)
			m.Body = append(render.AppendRecord(b, c), '}', '}')
		} else {
			m.Body = render.AppendPayload(nil, hook.Format, c)
		}
		messages[i] = m
		start = c.Cursor
	}
	return messages
}

// lostMessage returns the message that tells the target that changes were lost.
func lostMessage(hook *Hook, reason string, now time.Time) *Message {
	body, _ := json.Marshal(map[string]any{"type": "segment.resync", "timestamp": render.Time(now.UnixMilli()),
		"data": map[string]string{"segment": hook.Segment, "reason": reason}}) // strings
	return &Message{Hook: hook.Name, ID: "msg-resync-" + strconv.FormatInt(now.UnixNano(), 36), Body: body, At: now}
}
