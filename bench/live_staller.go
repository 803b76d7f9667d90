package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/streamcheck"
)

// staller is a socket that has not read for a while.
type staller struct {
	listener *listener
	cursor   string
	checker  *streamcheck.Checker // of the first stallers; the others only count
	members  int                  // enters minus exits
	end      string               // how the stalled connection ended
	resynced bool
}

// checkedStallers is how many are compared with the list of members: each needs a set, which takes memory.
const checkedStallers = 50

func (s *staller) check() { s.checker = &streamcheck.Checker{} }

// resumed counts the results of all stallers.
type resumed struct {
	ends    map[string]int
	wrong   int
	resyncs int
	example string
	took    time.Duration
}

// resumeTimeout is how long a staller may take to catch up.
const resumeTimeout = 3 * time.Minute

// resume lets all continue to read until they have caught up, and compares each with the list of members.
func (c *StallConfig) resume(ctx context.Context, node *Node, stalled []*staller) (*resumed, error) {
	members, err := allMembers(ctx, node)
	if err != nil {
		return nil, err
	}
	c.Log("%d sockets continue to read: %d members", len(stalled), len(members))
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	var reading sync.WaitGroup
	for _, s := range stalled {
		reading.Go(func() { s.catchUp(ctx, node, len(members)) })
	}
	reading.Wait()
	r := &resumed{ends: map[string]int{}, took: time.Since(started)}
	for i, s := range stalled {
		r.ends[s.end]++
		if s.resynced {
			r.resyncs++
		}
		wrong := ""
		if s.members != len(members) {
			wrong = fmt.Sprintf("socket %d has received %d members, there are %d", i, s.members, len(members))
		} else if s.checker != nil {
			if err := streamcheck.Error(s.checker.End(members)); err != nil {
				wrong = fmt.Sprintf("socket %d: %v", i, err)
			}
		}
		if wrong != "" {
			r.wrong++
			r.example = wrong
		}
	}
	return r, nil
}

// catchUp reads to the end of the connection, and continues from the last cursor on new ones until it has
// received this many members.
func (s *staller) catchUp(ctx context.Context, node *Node, members int) {
	for first := true; ctx.Err() == nil; first = false {
		err := s.read(ctx, members)
		s.listener.stop()
		if first {
			s.end = endOf(err)
		}
		if err == nil {
			return
		}
		l, err := listen(ctx, node, false)
		if err != nil {
			continue
		}
		if err := l.subscribe("s", probeSegment, s.cursor); err != nil {
			l.stop()
			continue
		}
		s.listener = l
	}
}

// read reads until this many members are known, or the connection ends.
func (s *staller) read(ctx context.Context, members int) error {
	stop := context.AfterFunc(ctx, s.listener.stop)
	defer stop()
	if s.members == members {
		return nil
	}
	err := s.listener.run(func(h heardChange) error {
		s.cursor = string(h.cursor)
		op := "exit"
		if s.members--; h.enter {
			op = "enter"
			s.members += 2
		}
		if s.checker != nil {
			s.checker.Take(&api.StreamMessage{Op: op, Profile: string(h.profile), Cursor: s.cursor})
		}
		if s.members == members {
			return errHeard
		}
		return nil
	})
	if errors.Is(err, errHeard) {
		return nil
	}
	if strings.Contains(err.Error(), `"op":"resync"`) {
		s.resynced = true
	}
	return err
}

// endOf describes how the stalled connection ended.
func endOf(err error) string {
	var closed *websocket.CloseError
	switch {
	case err == nil:
		return "caught up"
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return fmt.Sprintf("closed with %d, resumed", closed.Code)
	}
	return "cut, resumed"
}

func (r *resumed) figures(sockets int) []Figure {
	var how []string
	for end, n := range r.ends {
		how = append(how, fmt.Sprintf("%d %s", n, end))
	}
	note := strings.Join(how, ", ")
	if r.resyncs > 0 {
		note += fmt.Sprintf("; %d had to start again", r.resyncs)
	}
	if r.example != "" {
		note += "; " + r.example
	}
	return []Figure{
		{Name: "stalled sockets that have caught up in the end", Value: float64(sockets - r.wrong), Unit: "sockets", Goal: float64(sockets), More: true, Note: note},
		{Name: "time until all have", Value: r.took.Seconds(), Unit: "s", Note: fmt.Sprintf("all at the same time; %d are checked change by change, the others by number", min(checkedStallers, sockets))},
	}
}

// socketBytes returns the memory of all TCP buffers of the machine, 0 if it is unknown.
func socketBytes() int64 {
	file, err := os.Open("/proc/net/sockstat")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		for i := 0; i+1 < len(fields) && fields[0] == "TCP:"; i++ {
			if pages, err := strconv.ParseInt(fields[i+1], 10, 64); err == nil && fields[i] == "mem" {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	return 0
}
