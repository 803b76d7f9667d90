package server

import (
	"context"
	"errors"
	"time"

	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/server/render"
)

func (s *subscription) addCredit(n int64) {
	s.mu.Lock()
	s.credit = min(s.credit+n, maxCredit)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *subscription) take(n int) {
	s.mu.Lock()
	s.credit -= int64(n)
	s.mu.Unlock()
}

func (s *subscription) left() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.credit
}

// follow sends a subscription's changes from the change log until it ends.
func (c *stream) follow(ctx context.Context, sub *subscription) {
	err := c.feed(ctx, sub)
	_, resync := live.IsResync(err)
	switch {
	case ctx.Err() != nil:
		c.drop(sub, false)
		return
	case errors.Is(err, live.ErrClosed):
		c.cancel(&streamFault{closeRestarting, "the node is stopping"})
	case resync:
		c.resync(sub.id, err)
		c.drop(sub, true)
		c.afterResync()
	case err != nil:
		c.fault(sub.id, err)
		c.drop(sub, false)
	}
}

// resyncGrace is how long a client may take to subscribe again after a resync.
const resyncGrace = 30 * time.Second

// afterResync closes a stream without subscriptions, unless the client subscribes again in time.
func (c *stream) afterResync() {
	timer := time.NewTimer(resyncGrace)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
		return
	}
	c.mu.Lock()
	over := c.mu.resynced && len(c.mu.subscriptions) == 0
	c.mu.Unlock()
	if over {
		c.cancel(&streamFault{closeResync, "resync needed"})
	}
}

// feed sends the updates of a subscription, as far as its credit goes.
func (c *stream) feed(ctx context.Context, sub *subscription) error {
	for {
		credit := sub.left()
		if credit <= 0 {
			select {
			case <-sub.more:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		next, err := sub.feed.next(ctx, int(min(credit, sub.feed.batch())), c.server.cfg.Heartbeat)
		if err != nil {
			return err
		}
		switch {
		case next.snapshot:
			sub.take(len(next.members))
			if !c.send(ctx, appendMembers(nil, sub, &next)) {
				return ctx.Err()
			}
		case len(next.changes) == 0:
			text := append([]byte(`{"op":"checkpoint","id":`), render.AppendString(nil, sub.id)...)
			if !c.send(ctx, append(append(append(text, `,"cursor":"`...), next.cursor...), `"}`...)) {
				return ctx.Err()
			}
		default:
			sub.take(len(next.changes))
			if !c.send(ctx, changeTexts(sub, &next)...) {
				return ctx.Err()
			}
		}
	}
}

func appendMembers(b []byte, sub *subscription, page *feedUpdate) []byte {
	b = append(b, `{"op":"members","id":`...)
	b = render.AppendString(b, sub.id)
	b = append(b, `,"segment":`...)
	b = render.AppendString(b, sub.segment)
	b = append(b, `,"profiles":[`...)
	b = appendProfiles(b, page.members, len(sub.feed.fields) > 0)
	b = append(b, `],"cursor":"`...)
	b = append(b, page.cursor...)
	if page.more {
		return append(b, `","more":true}`...)
	}
	return append(b, `","more":false}`...)
}

// appendProfiles appends ids, or objects if fields were requested.
func appendProfiles(b []byte, members []member, fields bool) []byte {
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		if !fields {
			b = render.AppendString(b, m.id)
			continue
		}
		b = append(b, `{"profile":`...)
		b = render.AppendString(b, m.id)
		if m.person != nil {
			b = append(b, `,"fields":`...)
			b = render.AppendFields(b, m.person.Fields)
		}
		b = append(b, '}')
	}
	return b
}

// changeTexts renders the changes of a batch, one text each; cohort-batch has one text for all.
func changeTexts(sub *subscription, batch *feedUpdate) [][]byte {
	// One buffer for all texts. A text is a cursor, an id, and about 160 bytes around them.
	buf := make([]byte, 0, len(batch.changes)*(240+len(batch.cursor)+len(sub.id)+len(sub.segment)))
	begin := func(op string) []byte {
		b := append(buf[len(buf):], `{"op":"`...)
		b = append(append(b, op...), `","id":`...)
		return append(render.AppendString(b, sub.id), ',')
	}
	if sub.format == render.CohortBatch {
		b := append(begin("batch"), `"payload":`...)
		list := make([]*render.Change, len(batch.changes))
		for i := range batch.changes {
			list[i] = &batch.changes[i]
		}
		b = render.AppendCohort(b, sub.segment, list)
		return [][]byte{append(append(append(b, `,"cursor":"`...), batch.changes[len(list)-1].Cursor...), `"}`...)}
	}
	texts := make([][]byte, len(batch.changes))
	for i := range batch.changes {
		change := &batch.changes[i]
		op := "exit"
		if change.Enter {
			op = "enter"
		}
		b := begin(op)
		if sub.format == render.Native {
			b = render.AppendRecord(b, change)
		} else {
			b = render.AppendPayload(append(b, `"payload":`...), sub.format, change)
			b = append(append(append(b, `,"cursor":"`...), change.Cursor...), '"')
		}
		texts[i] = append(b, '}')
		if end := len(buf) + len(texts[i]); end <= cap(buf) { // else append has allocated a new buffer
			buf = buf[:end]
		}
	}
	return texts
}
