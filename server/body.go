package server

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/musterdb/muster/api/codes"
)

// budget bounds the bytes of all bodies held at once. It never waits: refusing is cheap, and the
// senders know how to wait.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

func (s *Server) bodiesFull() error {
	return busy(codes.Overloaded, "too many bodies are being read at once", time.Second)
}

// open returns the body of a request, inflated. close gives back what the inflating holds, and ends the
// patience.
func (s *Server) open(w *answer, r *http.Request, rolling bool) (body io.Reader, closeBody func(), err error) {
	w.reading = true
	raw := s.senders.begin(r.Body, http.NewResponseController(w), rolling)
	body, release, err := s.inflated(raw, r)
	if err != nil {
		raw.end()
		return nil, nil, err
	}
	return body, func() { release(); raw.end() }, nil
}

func (s *Server) inflated(raw *patientBody, r *http.Request) (body io.Reader, closeBody func(), err error) {
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return raw, func() {}, nil
	case "gzip", "x-gzip":
		z, _ := s.gzips.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		if err := z.Reset(raw); err != nil {
			return nil, nil, badEncoding(encoding, err)
		}
		return s.encoded(z, raw, encoding), func() { s.gzips.Put(z) }, nil
	case "deflate":
		z, err := inflate(raw)
		if err != nil {
			return nil, nil, badEncoding(encoding, err)
		}
		return s.encoded(z, raw, encoding), func() {}, nil
	case "zstd":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, nil, badEncoding(encoding, err)
		}
		return s.encoded(z, raw, encoding), z.Close, nil
	default:
		return nil, nil, problem(codes.UnsupportedEncoding, fmt.Sprintf("the Content-Encoding %.40q is none of gzip, deflate and zstd", encoding))
	}
}

// inflate reads deflate as it is (zlib), or as some senders think it is (without zlib's header).
func inflate(raw io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(raw)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(buffered)
	}
	return flate.NewReader(buffered), nil
}

// encoded is an encoded body, inflated. It names the encoding in errors of its data, which are the
// sender's mistakes, and stops where a few bytes become very many: those who send them pay nothing for
// the work they make.
type encoded struct {
	inflated io.Reader
	raw      *patientBody
	encoding string
	ratio    int64
	bytes    int64
}

// inflatedFreely is how much of a body may come out of whatever few bytes.
const inflatedFreely = 1 << 20

func (s *Server) encoded(inflated io.Reader, raw *patientBody, encoding string) *encoded {
	return &encoded{inflated: inflated, raw: raw, encoding: encoding, ratio: int64(s.cfg.MaxInflation)}
}

// Read reads on, as long as the ratio is one that data has.
func (e *encoded) Read(b []byte) (int, error) {
	n, err := e.inflated.Read(b)
	if e.bytes += int64(n); e.bytes > inflatedFreely && e.bytes/e.ratio > e.raw.received() {
		return 0, problem(codes.TooLarge, fmt.Sprintf("the body inflates to more than %d times its size", e.ratio))
	}
	if err != nil && err != io.EOF {
		err = badEncoding(e.encoding, err)
	}
	return n, err
}

func badEncoding(encoding string, err error) error {
	var broken *brokenBody
	if errors.As(err, &broken) || isTimeout(err) {
		return err
	}
	return problem(codes.BadRequest, fmt.Sprintf("the body is not valid %s: %v", encoding, err))
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// brokenBody is the error of a body that did not come whole: the sender broke off, or it was not framed
// as its headers say.
type brokenBody struct {
	bytes int64 // that came
	cause error
}

// Error says what happened, without addresses.
func (b *brokenBody) Error() string {
	cause := b.cause
	var network *net.OpError
	if errors.As(cause, &network) {
		cause = network.Err
	}
	return fmt.Sprintf("the body broke off after %d bytes: %v", b.bytes, cause)
}

// Unwrap returns the cause.
func (b *brokenBody) Unwrap() error { return b.cause }

// What is read of a body that nobody needs, so that its sender comes to hear the answer: who still
// writes when the connection is closed sees an error instead.
const (
	drainBytes = 16 << 20
	drainTime  = 5 * time.Second
)

// drain reads on without looking.
func (w *answer) drain(r *http.Request) {
	if r.Body == nil || !w.admitted || !w.reading && r.Header.Get("Expect") != "" { // who asks before it sends hears at once
		return
	}
	_ = w.control.SetReadDeadline(time.Now().Add(drainTime)) // a recorder has none
	// An error means that there is nobody to answer to.
	_, _ = io.CopyN(io.Discard, r.Body, drainBytes)
}

// readBody reads a whole body into memory, counted against the bytes in flight until release.
func (s *Server) readBody(w *answer, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, &http.MaxBytesError{Limit: limit}
	}
	body, ok := s.roomFor(max(4096, min(r.ContentLength+1, limit)))
	if !ok {
		return nil, nil, s.bodiesFull()
	}
	held := int64(cap(body))
	release = func() { s.inFlight.give(held) }
	stream, closeBody, err := s.open(w, r, false)
	if err != nil {
		release()
		return nil, nil, err
	}
	defer closeBody()
	for {
		n, err := stream.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, release, nil
		}
		if err == nil && int64(len(body)) > limit {
			err = &http.MaxBytesError{Limit: limit}
		}
		if err == nil && len(body) == cap(body) {
			if more := held; s.inFlight.take(more) {
				held += more
				body = append(make([]byte, 0, held), body...)
			} else {
				err = s.bodiesFull()
			}
		}
		if err != nil {
			release()
			return nil, nil, err
		}
	}
}
