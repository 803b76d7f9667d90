package server

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// socket is a connection that carries texts. One goroutine reads and closes, another one writes and
// pings; any goroutine may interrupt.
type socket interface {
	Read() ([]byte, error)
	// Write sends texts, one message each.
	Write(texts [][]byte) error
	Ping() error
	// Interrupt makes a running Read and Write return an error.
	Interrupt()
	// Close sends the reason, if the other side still reads, and ends the connection. It must be called
	// after the last Read and Write.
	Close(code int, reason string)
}

// The close codes of a stream.
const (
	closeRestarting = 1012
	closeBadMessage = 4400
	closeKey        = 4401
	closeScope      = 4403
	closeSlow       = 4408
	closeDuplicate  = 4409
	closeResync     = 4410
)

const streamProtocol = "muster.v1"

// maxStreamMessage is the largest message of a client, in bytes.
const maxStreamMessage = 64 << 10

// gorillaSocket implements socket with gorilla/websocket.
type gorillaSocket struct {
	conn     *websocket.Conn
	buffered *bufferedConn // the connection under conn
	silence  time.Duration // how long the client may send nothing, not even a pong
	timeout  time.Duration // of a write
}

var errSilent = errors.New("the client has been silent for too long")

// upgrade turns a request into a socket. If it returns an error, the request has been answered.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) (socket, error) {
	u := websocket.Upgrader{
		HandshakeTimeout: s.cfg.HeaderTimeout, ReadBufferSize: 1024, WriteBufferSize: 4096, WriteBufferPool: &s.writeBuffers,
		Subprotocols: []string{streamProtocol}, CheckOrigin: func(r *http.Request) bool { return !s.foreign(r) }, // guard has already checked it
	}
	hijacked := &bufferingWriter{ResponseWriter: w, pool: &s.streamBuffers}
	conn, err := u.Upgrade(hijacked, r, nil)
	if err != nil {
		return nil, err
	}
	g := &gorillaSocket{conn: conn, buffered: hijacked.conn, silence: 3 * s.cfg.Heartbeat, timeout: s.cfg.StreamTimeout}
	conn.SetReadLimit(2 * maxStreamMessage) // a longer message is not read: it closes the stream with 1009
	conn.SetPongHandler(func(string) error { return conn.SetReadDeadline(time.Now().Add(g.silence)) })
	return g, nil
}

// Read returns the next text.
func (g *gorillaSocket) Read() ([]byte, error) {
	if err := g.conn.SetReadDeadline(time.Now().Add(g.silence)); err != nil {
		return nil, err
	}
	kind, text, err := g.conn.ReadMessage()
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, errSilent
	case err != nil:
		return nil, err
	case len(text) > maxStreamMessage:
		return nil, &streamFault{closeBadMessage, "the message is too long"}
	case kind != websocket.TextMessage:
		return nil, &streamFault{closeBadMessage, "messages must be text"}
	}
	return text, nil
}

// Write sends texts together.
func (g *gorillaSocket) Write(texts [][]byte) error {
	g.buffered.Hold()
	for _, text := range texts {
		if err := g.conn.WriteMessage(websocket.TextMessage, text); err != nil {
			return err
		}
	}
	return g.buffered.Flush(time.Now().Add(g.timeout))
}

// Ping sends a ping, which the client must answer with a pong.
func (g *gorillaSocket) Ping() error {
	return g.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(g.timeout))
}

// Interrupt implements socket.
func (g *gorillaSocket) Interrupt() { g.buffered.Interrupt() }

// closeGrace is the time limit for writing the close message, and then for the client to receive it.
const closeGrace = 250 * time.Millisecond

// Close implements socket. It reads and discards data of the client for a moment: closing a connection
// with unread data would discard what was written last.
func (g *gorillaSocket) Close(code int, reason string) {
	text := websocket.FormatCloseMessage(code, reason)
	if g.conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(closeGrace)) == nil {
		raw := g.conn.NetConn()
		_ = raw.SetReadDeadline(time.Now().Add(closeGrace))
		_, _ = io.Copy(io.Discard, raw)
	}
	_ = g.conn.Close()
}
