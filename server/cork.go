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

// sendBuffer is the room the kernel gives to what a client has not taken (it doubles it): left to itself
// it would hold megabytes for each client that reads nothing.
const sendBuffer = 64 << 10

// corkedConn is a connection that holds what is written while it is corked, so that many small messages
// leave in one system call. One goroutine corks; any may write.
type corkedConn struct {
	net.Conn
	rooms       *sync.Pool // of *[]byte, for what is held
	interrupted atomic.Bool
	deadline    time.Time // of the next Write; whoever sets it writes next, by the lock of websocket.Conn

	mu struct {
		sync.Mutex         // held while a Write waits
		held       *[]byte // nil unless corked
		broken     error   // a message was written in part: nothing can follow it
	}
}

// corkingWriter gives away its connection as a corkedConn.
type corkingWriter struct {
	http.ResponseWriter
	rooms *sync.Pool
	conn  *corkedConn
}

// Hijack implements http.Hijacker.
func (w *corkingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("the connection cannot be taken over")
	}
	conn, buffers, err := h.Hijack()
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // without it the stream works as well
	}
	w.conn = &corkedConn{Conn: conn, rooms: w.rooms}
	return w.conn, buffers, nil
}

// SetWriteDeadline is for the next Write. It does not touch one that waits: a pong has less time than
// the messages before it.
func (c *corkedConn) SetWriteDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

// Write writes, or holds what is to be written.
func (c *corkedConn) Write(b []byte) (int, error) {
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

// Cork begins to hold.
func (c *corkedConn) Cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.held, _ = c.rooms.Get().(*[]byte); c.mu.held == nil {
		c.mu.held = new([]byte)
	}
}

// keptRoom is the size up to which room is kept for the next one who corks.
const keptRoom = 64 << 10

// Uncork writes what was held.
func (c *corkedConn) Uncork(deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.mu.held
	c.mu.held = nil
	defer func() {
		if *held = (*held)[:0]; cap(*held) <= keptRoom {
			c.rooms.Put(held)
		}
	}()
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if c.interrupted.Load() { // before the deadline was set: it would undo that
		return net.ErrClosed
	}
	n, err := c.Conn.Write(*held)
	if n > 0 {
		c.mu.broken = err
	}
	return err
}

// Interrupt ends a Read and an Uncork that wait, and those to come.
func (c *corkedConn) Interrupt() {
	c.interrupted.Store(true)
	_ = c.Conn.SetDeadline(time.Now())
}
