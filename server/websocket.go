package server

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// socket is a connection that carries texts. One goroutine reads and closes, one other writes and
// pings; any may interrupt.
type socket interface {
	Read() ([]byte, error)
	// Write sends texts, one message each.
	Write(texts [][]byte) error
	Ping() error
	// Interrupt makes a Read and a Write that wait return an error.
	Interrupt()
	// Close says why, as far as the other side still listens, and ends the connection. It comes after
	// the last Read and Write.
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

// maxStreamMessage bounds what a client may say at once.
const maxStreamMessage = 64 << 10

// gorillaSocket is a socket of gorilla/websocket.
type gorillaSocket struct {
	conn    *websocket.Conn
	cork    *corkedConn   // under conn
	silence time.Duration // how long the other side may say nothing, not even pong
	timeout time.Duration // of a write
}

var errSilent = errors.New("the client has been silent for too long")

// upgrade turns a request into a socket. After an error the request has been answered.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) (socket, error) {
	u := websocket.Upgrader{
		HandshakeTimeout: s.cfg.HeaderTimeout, ReadBufferSize: 1024, WriteBufferSize: 4096, WriteBufferPool: &s.writeBuffers,
		Subprotocols: []string{streamProtocol}, CheckOrigin: func(r *http.Request) bool { return !s.foreign(r) }, // as guard has seen already
	}
	hijacked := &corkingWriter{ResponseWriter: w, rooms: &s.corkRooms}
	conn, err := u.Upgrade(hijacked, r, nil)
	if err != nil {
		return nil, err
	}
	g := &gorillaSocket{conn: conn, cork: hijacked.conn, silence: 3 * s.cfg.Heartbeat, timeout: s.cfg.StreamTimeout}
	conn.SetReadLimit(2 * maxStreamMessage) // beyond it is not even read, and closed with 1009
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
		return nil, &streamFault{closeBadMessage, "messages are texts"}
	}
	return text, nil
}

// Write sends texts together, or gives up.
func (g *gorillaSocket) Write(texts [][]byte) error {
	g.cork.Cork()
	for _, text := range texts {
		if err := g.conn.WriteMessage(websocket.TextMessage, text); err != nil {
			return err
		}
	}
	return g.cork.Uncork(time.Now().Add(g.timeout))
}

// Ping asks for a pong.
func (g *gorillaSocket) Ping() error {
	return g.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(g.timeout))
}

// Interrupt implements socket.
func (g *gorillaSocket) Interrupt() { g.cork.Interrupt() }

// closeGrace is how long the reason of a close may take to be written, and then to be heard.
const closeGrace = 250 * time.Millisecond

// Close implements socket. What the client has sent is read away for a moment: closing a connection
// with unread bytes would take back what was written last.
func (g *gorillaSocket) Close(code int, reason string) {
	text := websocket.FormatCloseMessage(code, reason)
	if g.conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(closeGrace)) == nil {
		raw := g.conn.NetConn()
		_ = raw.SetReadDeadline(time.Now().Add(closeGrace))
		_, _ = io.Copy(io.Discard, raw)
	}
	_ = g.conn.Close()
}
