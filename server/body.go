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

// budget limits the bytes of all request bodies in memory. It never waits: refusing is cheap, and senders
// know how to retry.
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
	return busy(codes.Overloaded, "too many request bodies are being read at the same time", time.Second)
}

// open returns the body of a request, decompressed. closeBody releases the decompressor and ends the
// watch over the body's deadline.
func (s *Server) open(w *answer, r *http.Request, rolling bool) (body io.Reader, closeBody func(), err error) {
	w.reading = true
	raw := s.openBodies.begin(r.Body, http.NewResponseController(w), rolling)
	body, release, err := s.inflated(raw, r)
	if err != nil {
		raw.end()
		return nil, nil, err
	}
	return body, func() { release(); raw.end() }, nil
}

func (s *Server) inflated(raw *timedBody, r *http.Request) (body io.Reader, closeBody func(), err error) {
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
		return nil, nil, problem(codes.UnsupportedEncoding, fmt.Sprintf("the Content-Encoding %.40q is not supported: use gzip, deflate or zstd", encoding))
	}
}

// inflate reads deflate as it is defined (with a zlib header) or as some senders write it (without one).
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

// encoded is an encoded body, decompressed. It names the encoding in errors in the data, which are the
// sender's mistakes. It stops a body that inflates far beyond its size, which would cost the server much
// work and its sender nothing.
type encoded struct {
	inflated io.Reader
	raw      *timedBody
	encoding string
	ratio    int64
	bytes    int64
}

// freeInflation is how many bytes a body may inflate to whatever its size.
const freeInflation = 1 << 20

func (s *Server) encoded(inflated io.Reader, raw *timedBody, encoding string) *encoded {
	return &encoded{inflated: inflated, raw: raw, encoding: encoding, ratio: int64(s.cfg.MaxInflation)}
}

// Read reads decompressed bytes, and fails once the ratio is above the limit.
func (e *encoded) Read(b []byte) (int, error) {
	n, err := e.inflated.Read(b)
	if e.bytes += int64(n); e.bytes > freeInflation && e.bytes/e.ratio > e.raw.received() {
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

// brokenBody is the error of an incomplete body: the sender broke off, or the body is not framed as its
// headers say.
type brokenBody struct {
	bytes int64 // that arrived
	cause error
}

// Error returns what happened, without network addresses.
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

// Limits on reading the rest of a body that is not needed. It is read so that its sender receives the
// answer: a client that is still writing when the connection is closed sees an error instead.
const (
	drainBytes = 16 << 20
	drainTime  = 5 * time.Second
)

// drain reads the rest of a request's body and discards it.
func (w *answer) drain(r *http.Request) {
	if r.Body == nil || !w.admitted || !w.reading && r.Header.Get("Expect") != "" { // a client that sends Expect has not sent its body
		return
	}
	_ = w.control.SetReadDeadline(time.Now().Add(drainTime)) // an httptest recorder has no deadlines
	// An error means that the client is gone.
	_, _ = io.CopyN(io.Discard, r.Body, drainBytes)
}

// readBody reads a whole body into memory. The memory counts against the bytes in flight until release.
func (s *Server) readBody(w *answer, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, &http.MaxBytesError{Limit: limit}
	}
	body, ok := s.bodyBuffer(max(4096, min(r.ContentLength+1, limit)))
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
