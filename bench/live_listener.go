package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api"
)

// heardChange is a change that a listener has received. Its texts are valid until the next one.
type heardChange struct {
	enter    bool
	profile  []byte
	at       []byte // RFC 3339
	cursor   []byte
	received time.Time
}

// listener is a WebSocket that follows segments with unlimited credit.
type listener struct{ conn *websocket.Conn }

// listen follows segments from now on. A narrow listener has small buffers.
func listen(ctx context.Context, node *Node, narrow bool, segments ...string) (*listener, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"muster.v1"}, ReadBufferSize: 32 << 10}
	if narrow {
		dialer.ReadBufferSize = 1 << 10
		dialer.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = errors.Join(err, tcp.SetReadBuffer(4<<10))
			}
			return conn, err
		}
	}
	conn, _, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(node.Client.BaseURL, "http")+"/v1/stream", nil)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l := &listener{conn}
	for i, name := range segments {
		if err := l.subscribe(fmt.Sprint("s", i), name, "now"); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return l, nil
}

func (l *listener) subscribe(id, segment, from string) error {
	err := l.conn.WriteJSON(api.StreamCommand{Op: "subscribe", ID: id, Segment: segment, From: from, Credit: 1 << 40})
	if err != nil {
		return fmt.Errorf("listen to %s: %w", segment, err)
	}
	return nil
}

// begun waits until the node has accepted all subscriptions: it subscribes to an unknown segment, and the
// node's error for that comes after its answers to the earlier subscriptions.
func (l *listener) begun(ctx context.Context) error {
	if err := l.subscribe("end", "there is no such segment", "now"); err != nil {
		return err
	}
	for ctx.Err() == nil {
		_, text, err := l.conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		if bytes.HasPrefix(text, []byte(`{"op":"error"`)) {
			if !bytes.Contains(text, []byte(`"id":"end"`)) {
				return fmt.Errorf("listen: %s", text)
			}
			return nil
		}
	}
	return ctx.Err()
}

// errHeard ends a listener that has received what it waits for.
var errHeard = errors.New("heard")

// run calls take with all changes until take or the connection fails; stop closes the connection.
func (l *listener) run(take func(heardChange) error) error {
	for {
		_, text, err := l.conn.ReadMessage()
		if err != nil {
			return err
		}
		received := time.Now()
		op := after(text, `"op":"`)
		switch string(op) {
		case "enter", "exit":
			if err := take(heardChange{string(op) == "enter", after(text, `"profile":"`), after(text, `"at":"`), after(text, `"cursor":"`), received}); err != nil {
				return err
			}
		case "error", "resync":
			return fmt.Errorf("listen: %s", text)
		}
	}
}

func (l *listener) stop() { _ = l.conn.Close() }

// after returns the text between what and the next quote.
func after(text []byte, what string) []byte {
	_, rest, found := bytes.Cut(text, []byte(what))
	if !found {
		return nil
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return value
}
