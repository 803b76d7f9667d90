package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/musterdb/muster/api"
)

// NodeConfig says how the node under test is started.
type NodeConfig struct {
	Binary string   // muster
	Dir    string   // for files, data and logs; removed by the caller
	Args   []string // further arguments of muster serve
	Log    func(format string, args ...any)
}

func (c *NodeConfig) faults() (faults []error) {
	if c.Binary == "" {
		faults = append(faults, errors.New("no binary"))
	}
	if c.Dir == "" {
		faults = append(faults, errors.New("no directory"))
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return faults
}

// step is a part of a measurement of one node.
type step func(ctx context.Context, node *Node) ([]Figure, error)

// run starts a fresh node, runs the steps, and closes the node.
func (c *NodeConfig) run(ctx context.Context, steps ...step) (figures []Figure, err error) {
	node, err := NewNode(c.Binary, c.Dir)
	if err != nil {
		return nil, err
	}
	node.args = c.Args
	defer func() { err = errors.Join(err, node.Close()) }()
	if _, err := node.Start(ctx); err != nil {
		return nil, err
	}
	for _, step := range steps {
		more, err := step(ctx, node)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// Node is a `muster serve` process, measured from outside.
type Node struct {
	Client *api.Client
	binary string
	args   []string
	dir    string
	listen string
	log    *os.File
	cmd    *exec.Cmd  // nil while the process does not run
	ended  chan error // of cmd
}

// readyTimeout is how long a node may take until it serves.
const readyTimeout = 5 * time.Minute

// NewNode returns a node that is not running yet, with its data and its log under dir. binary is muster.
func NewNode(binary, dir string) (*Node, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		return nil, fmt.Errorf("open the node's log: %w", err)
	}
	return &Node{Client: &api.Client{BaseURL: "http://" + addr}, binary: binary, dir: dir, listen: addr, log: log}, nil
}

// Start starts the node and returns how long it took until it served.
func (n *Node) Start(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	n.cmd = exec.Command(n.binary, append([]string{"serve", "--data", filepath.Join(n.dir, "data"), "--listen", n.listen}, n.args...)...)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		return 0, fmt.Errorf("start the node: %w", err)
	}
	cmd, ended := n.cmd, make(chan error, 1)
	n.ended = ended
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		health, err := n.Client.Health(ctx)
		if err == nil && health.Ready {
			return time.Since(started), nil
		}
		select {
		case <-tick.C:
		case err := <-ended:
			n.cmd = nil
			return 0, fmt.Errorf("the node ended before it was ready: %w\n%s", cmp.Or(err, errEnded), n.lastWords())
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("wait for the node: %w\n%s", ctx.Err(), n.lastWords()), n.Kill())
		}
	}
}

var errEnded = errors.New("exit status 0")

// lastWords returns the end of the node's log, which is removed with the directory.
func (n *Node) lastWords() string {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// Stop ends the node with SIGTERM.
func (n *Node) Stop() error { return n.end(syscall.SIGTERM) }

// Kill ends the node with SIGKILL.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL) }

func (n *Node) end(signal syscall.Signal) error {
	if n.cmd == nil {
		return nil
	}
	cmd := n.cmd
	n.cmd = nil
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the node: %w", err)
	}
	err := <-n.ended
	var exit *exec.ExitError
	if signal == syscall.SIGKILL && errors.As(err, &exit) {
		return nil // killed on purpose
	}
	return err
}

// Close kills the node and closes its log file.
func (n *Node) Close() error { return errors.Join(n.Kill(), n.log.Close()) }

// Resident returns the resident memory of the process.
func (n *Node) Resident() (int64, error) { return ResidentBytes(n.cmd.Process.Pid) }

// Written returns how many bytes the process has caused to be written to disk.
func (n *Node) Written() (int64, error) {
	line := lineOf(fmt.Sprintf("/proc/%d/io", n.cmd.Process.Pid), "write_bytes")
	bytes, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the bytes written by the node: %w", err)
	}
	return bytes, nil
}

// processorTime returns the processor seconds that the process has used, in steps of 10 ms.
func (n *Node) processorTime() (float64, error) { return processorTimeOf(n.cmd.Process.Pid) }

func processorTimeOf(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after the name, which may contain anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("read processor time: too few fields")
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	const ticks = 100 // USER_HZ, fixed for user space
	return (user + system) / ticks, errors.Join(err1, err2)
}

// DataBytes returns the size of the data directory.
func (n *Node) DataBytes() (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(filepath.Join(n.dir, "data"), func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) { // the node may remove files at any time
				return nil
			}
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return total, err
}
