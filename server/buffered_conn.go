package server

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// sendBuffer is the size of the kernel's buffer for data that a client has not received (the kernel
// doubles it). Left to itself the kernel would hold megabytes for each client that reads nothing.
const sendBuffer = 64 << 10

// bufferedConn is a connection that can hold back what is written, so that many small messages are sent
// in one system call. One goroutine calls Hold and Flush; any may write.
type bufferedConn struct {
	net.Conn
	pool        *sync.Pool // of *[]byte, for held
	interrupted atomic.Bool
	deadline    time.Time // of the next Write; the lock of websocket.Conn covers setting it and that Write

	mu struct {
		sync.Mutex         // held while a Write waits
		held       *[]byte // nil unless writes are held back
		broken     error   // set after a partial write: nothing can follow it
	}
}

// bufferingWriter is a ResponseWriter whose Hijack returns a bufferedConn.
type bufferingWriter struct {
	http.ResponseWriter
	pool *sync.Pool
	conn *bufferedConn
}

// Hijack implements http.Hijacker.
func (w *bufferingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("the connection cannot be hijacked")
	}
	conn, buffers, err := h.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // the stream works without it too
	}
	w.conn = &bufferedConn{Conn: conn, pool: w.pool}
	return w.conn, buffers, nil
}

// SetWriteDeadline sets the deadline of the next Write. It does not affect a Write that is running: a
// pong has less time than the messages before it.
func (c *bufferedConn) SetWriteDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

// Write writes b, or holds it back until Flush.
func (c *bufferedConn) Write(b []byte) (int, error) {
	deadline := c.deadline
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.broken != nil {
		return 0, c.mu.broken
	}
	if c.mu.held != nil {
		*c.mu.held = append(*c.mu.held, b...)
		return len(b), nil
	}
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Hold holds back writes until Flush.
func (c *bufferedConn) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.held, _ = c.pool.Get().(*[]byte); c.mu.held == nil {
		c.mu.held = new([]byte)
	}
}

// maxPooled is the capacity up to which a buffer is returned to the pool.
const maxPooled = 64 << 10

// Flush writes what was held back.
func (c *bufferedConn) Flush(deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.mu.held
	c.mu.held = nil
	defer func() {
		if *held = (*held)[:0]; cap(*held) <= maxPooled {
			c.pool.Put(held)
		}
	}()
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if c.interrupted.Load() { // Interrupt may have set its deadline before the one above replaced it
		return net.ErrClosed
	}
	n, err := c.Conn.Write(*held)
	if n > 0 {
		c.mu.broken = err
	}
	return err
}

// Interrupt ends a running Read and Flush, and all later ones.
func (c *bufferedConn) Interrupt() {
	c.interrupted.Store(true)
	_ = c.Conn.SetDeadline(time.Now())
}
