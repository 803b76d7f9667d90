package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// WatchOptions says what to watch. Segment is required.
type WatchOptions struct {
	Segment string
	From    string   // snapshot, now, acked or a cursor; now by default, acked if As is set
	Fields  []string // attributes to send with the id
	As      string   // name of a durable subscriber: messages are acknowledged when fn returns
	Window  int64    // profiles the server may send ahead of fn; 1,000 by default

	// Retrying, if not nil, is called before each reconnect with the reason.
	Retrying func(err error)
}

// watchTimes are the pauses of a Watch.
const (
	watchFirstRetry = 100 * time.Millisecond
	watchLastRetry  = 10 * time.Second
	watchAckEvery   = time.Second
	watchDial       = 10 * time.Second
)

// Watch calls fn with the messages about a segment, in order, until ctx ends or fn returns an error, which
// Watch returns. When the connection breaks it reconnects and continues from the last cursor that fn has
// returned for. If the server cannot continue from a cursor, fn gets a resync; if fn returns nil, Watch starts
// again from a snapshot. Watch returns errors of the server that are not temporary as a *Problem.
//
// fn gets members, enter, exit, checkpoint and resync; the message is valid until fn returns.
func (c *Client) Watch(ctx context.Context, watching WatchOptions, fn func(*StreamMessage) error) error {
	w := &watcher{client: c, WatchOptions: watching, fn: fn, from: watching.From}
	if w.Window <= 0 {
		w.Window = 1000
	}
	if w.from == "" && w.As != "" {
		w.from = "acked"
	}
	retry := watchFirstRetry
	for {
		err := w.connect(ctx)
		var final finalError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &final):
			return final.error
		}
		if w.heard {
			retry, w.heard = watchFirstRetry, false
		}
		if w.Retrying != nil && !errors.Is(err, errResync) {
			w.Retrying(err)
		}
		wait := time.NewTimer(retry/2 + rand.N(retry))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
		retry = min(2*retry, watchLastRetry)
	}
}

// errResync ends a connection because its subscription must start again.
var errResync = errors.New("resync")

// finalError ends a Watch.
type finalError struct{ error }

type watcher struct {
	WatchOptions
	client *Client
	fn     func(*StreamMessage) error
	from   string
	heard  bool // the connection has carried a message
	conn   *websocket.Conn
	left   int64 // credit
	unsent string
	acked  time.Time
}

// connect watches until the connection ends.
func (w *watcher) connect(ctx context.Context) error {
	dialer := websocket.Dialer{HandshakeTimeout: watchDial, Subprotocols: []string{"muster.v1"}, Proxy: http.ProxyFromEnvironment}
	header := http.Header{}
	if w.client.Key != "" {
		header.Set("Authorization", "Bearer "+w.client.Key)
	}
	url := strings.TrimSuffix(w.client.BaseURL, "/") + "/v1/stream"
	url = "ws" + strings.TrimPrefix(url, "http") // https becomes wss
	conn, answer, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		if answer != nil {
			var problem *Problem
			if _, refused := checked(answer); errors.As(refused, &problem) && !problem.Temporary() && problem.Status < 500 {
				return finalError{problem}
			}
		}
		return err
	}
	w.conn = conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	err = w.follow()
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code >= 4400 && closed.Code != 4408 && closed.Code != 4410 {
		return finalError{fmt.Errorf("watch %s: %w", w.Segment, closed)}
	}
	return err
}

func (w *watcher) follow() error {
	silence := time.Minute
	alive := func() error { return w.conn.SetReadDeadline(time.Now().Add(silence)) }
	w.conn.SetPingHandler(func(data string) error {
		if err := alive(); err != nil {
			return err
		}
		return w.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(watchDial))
	})
	w.left = w.Window
	if err := w.say(StreamCommand{Op: "subscribe", ID: "w", Segment: w.Segment, From: w.from, Fields: w.Fields, As: w.As, Credit: w.Window}); err != nil {
		return err
	}
	for {
		if err := alive(); err != nil {
			return err
		}
		_, text, err := w.conn.ReadMessage()
		if err != nil {
			return err
		}
		var m StreamMessage
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&m); err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
		if m.Op == "hello" && m.HeartbeatMS > 0 {
			silence = 3*time.Duration(m.HeartbeatMS)*time.Millisecond + 5*time.Second
		}
		if err := w.take(&m); err != nil {
			return err
		}
	}
}

func (w *watcher) say(command StreamCommand) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(watchDial)); err != nil {
		return err
	}
	return w.conn.WriteJSON(command)
}

// take calls fn with a message and then moves the cursor. Credit is given for profiles that fn has handled.
func (w *watcher) take(m *StreamMessage) error {
	switch m.Op {
	case "hello":
		return nil
	case "error":
		if m.Temporary {
			return errors.New(m.Message)
		}
		return finalError{&Problem{Title: m.Message, Code: m.Code}}
	}
	if err := w.fn(m); err != nil {
		return finalError{err}
	}
	w.heard = true
	if m.Op == "resync" {
		w.from = "snapshot"
		return errResync
	}
	if m.Cursor == "" {
		return nil
	}
	w.from, w.unsent = m.Cursor, m.Cursor
	used := int64(len(m.Profiles))
	if m.Op == "enter" || m.Op == "exit" {
		used = 1
	}
	if w.left -= used; w.left <= w.Window/2 {
		if err := w.say(StreamCommand{Op: "credit", ID: "w", N: w.Window - w.left}); err != nil {
			return err
		}
		w.left = w.Window
	}
	if w.As != "" && (time.Since(w.acked) >= watchAckEvery || m.Op == "checkpoint") {
		w.acked = time.Now()
		return w.say(StreamCommand{Op: "ack", ID: "w", Cursor: w.unsent})
	}
	return nil
}
