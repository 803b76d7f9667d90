package server

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
)

// maxExcerpt is how many bytes of a rejected message are kept.
const maxExcerpt = 2 << 10

// rejectLog keeps the latest rejects, limited by their number and bytes.
type rejectLog struct {
	maxCount int
	maxBytes int64

	mu struct {
		sync.Mutex
		entries []api.Reject // a ring buffer, of which [first, first+count) is used
		first   int
		count   int
		bytes   int64
		total   uint64
	}
}

func newRejectLog(count int, bytes int64) *rejectLog {
	return &rejectLog{maxCount: count, maxBytes: bytes}
}

// add keeps a reject and assigns its number.
func (l *rejectLog) add(r api.Reject, content []byte) {
	r.Content = excerpt(content)
	size := rejectSize(&r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.total++
	r.Seq = l.mu.total
	for l.mu.count > 0 && (l.mu.count >= l.maxCount || l.mu.bytes+size > l.maxBytes) {
		oldest := &l.mu.entries[l.mu.first]
		l.mu.bytes -= rejectSize(oldest)
		*oldest = api.Reject{}
		l.mu.first, l.mu.count = (l.mu.first+1)%len(l.mu.entries), l.mu.count-1
	}
	if l.mu.count == len(l.mu.entries) {
		l.growLocked()
	}
	l.mu.entries[(l.mu.first+l.mu.count)%len(l.mu.entries)] = r
	l.mu.count++
	l.mu.bytes += size
}

func (l *rejectLog) growLocked() {
	grown := make([]api.Reject, min(max(64, 2*l.mu.count), l.maxCount))
	for i := range l.mu.count {
		grown[i] = l.mu.entries[(l.mu.first+i)%len(l.mu.entries)]
	}
	l.mu.entries, l.mu.first = grown, 0
}

// page returns at most limit rejects below the number before (0: from the newest), newest first.
func (l *rejectLog) page(before uint64, limit int) api.Rejects {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := api.Rejects{Rejects: []api.Reject{}, Total: l.mu.total}
	for i := l.mu.count - 1; i >= 0; i-- {
		r := l.mu.entries[(l.mu.first+i)%len(l.mu.entries)]
		if before != 0 && r.Seq >= before {
			continue
		}
		if len(out.Rejects) == limit {
			out.Next = out.Rejects[limit-1].Seq
			break
		}
		out.Rejects = append(out.Rejects, r)
	}
	return out
}

// dropReason returns the code and text that tell the sender why something of a message was dropped.
func dropReason(d *engine.Dropped) (code, reason string) {
	what := "the value"
	if d.WholeMessage() {
		what = "the message"
	}
	name := d.Name.Name
	switch d.Reason {
	case engine.TypeMismatch:
		return codes.WrongType, name + " has another type than its column: the value is kept in history only"
	case engine.NameReserved:
		return codes.ReservedName, name + " is built in and cannot be set: the value is kept in history only"
	case engine.NameWithheld:
		return codes.TooManyNewNames, "the sender adds new names too fast, so " + strconv.Quote(name) + " is not added now: " + what + " is kept in history only; later values are accepted"
	case engine.NameInvalid:
		return codes.Refused, strconv.Quote(name) + " cannot be a name: " + what + " is kept in history only"
	}
	return codes.TooManyNames, "there are too many names to add " + strconv.Quote(name) + ": " + what + " is kept in history only"
}

func rejectSize(r *api.Reject) int64 {
	return int64(len(r.Content)+len(r.Reason)+len(r.Source)+len(r.Path)) + 160
}

// excerpt returns the beginning of content as valid UTF-8.
func excerpt(content []byte) string {
	if len(content) > maxExcerpt {
		content = content[:maxExcerpt]
		for len(content) > 0 && !utf8.RuneStart(content[len(content)-1]) {
			content = content[:len(content)-1]
		}
		if n := len(content); n > 0 && content[n-1] >= utf8.RuneSelf {
			content = content[:n-1]
		}
	}
	return strings.ToValidUTF8(string(content), "\uFFFD")
}

func (s *Server) getRejects(w *answer, r *http.Request) error {
	limit, err := intParam(r, "limit", 100, 1, 10_000)
	if err != nil {
		return err
	}
	before := uint64(0)
	if text := r.URL.Query().Get("before"); text != "" {
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return problem(codes.BadRequest, "before is not the number of a reject")
		}
	}
	return writeJSON(w, http.StatusOK, s.rejects.page(before, limit))
}

// intParam parses a whole number in the query string; value is the default.
func intParam(r *http.Request, name string, value, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return value, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, problem(codes.BadRequest, name+" must be a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n, nil
}
