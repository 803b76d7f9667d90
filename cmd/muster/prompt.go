package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reeflective/readline"
)

// completeTimeout is how long a key press waits for the node.
const completeTimeout = time.Second

// prompt reads and runs statements until the end of input.
func (c *queryCommand) prompt(ctx context.Context, a *app) error {
	shell := readline.NewShell()
	shell.Prompt.Primary(func() string { return "muster> " })
	shell.Prompt.Secondary(func() string { return "      > " })
	shell.SyntaxHighlighter = highlight
	shell.Completer = func(line []rune, cursor int) readline.Completions { return c.completions(ctx, line, cursor) }
	if file := historyFile(); file != "" {
		shell.History.AddFromFile("statements", file)
	}
	fmt.Fprintf(a.stdout, "Connected to %s. Tab completes, Ctrl-R searches the history, Ctrl-D exits. Try:  show attributes\n", c.base())
	for ctx.Err() == nil {
		line, err := shell.Readline()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err != nil:
			return fmt.Errorf("read line: %w", err)
		}
		text := strings.TrimSpace(line)
		switch text {
		case "":
			continue
		case "exit", "quit", `\q`:
			return nil
		case "help", "?", `\?`:
			fmt.Fprint(a.stdout, promptHelp)
			continue
		}
		format := c.Format
		if format == "" {
			format = "table"
		}
		if err := c.runStatement(ctx, a, text, format); err != nil && !errors.Is(err, errReported) {
			fmt.Fprintln(a.stderr, "error:", oneLine(err))
		}
	}
	return ctx.Err()
}

const promptHelp = `  count where country = "BR"                             how many
  list email where did "Order Completed" at least 3 times in last 30 days
  count by plan                                          broken down
  show attributes        show events        describe event "Order Completed"
  exit
`

// historyFile returns the file that statements are saved in, or "" if there can be none.
func historyFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "muster")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return filepath.Join(dir, "history")
}

// completions returns the node's completions for the cursor position.
func (c *queryCommand) completions(ctx context.Context, line []rune, cursor int) readline.Completions {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	before := string(line[:min(cursor, len(line))])
	got, err := c.client().Complete(ctx, string(line), len(before))
	if err != nil {
		return readline.CompleteMessage("%s", oneLine(err))
	}
	if len(got.Candidates) == 0 {
		return readline.Completions{}
	}
	start := min(max(got.Candidates[0].Start, 0), len(before))
	var values []readline.Completion
	for _, candidate := range got.Candidates {
		if candidate.Start != start {
			continue // a menu completes at one position only
		}
		if candidate.Text != sanitize(candidate.Text) {
			continue // the prompt writes directly to the terminal
		}
		values = append(values, readline.Completion{Value: candidate.Text, Display: candidate.Text, Description: sanitize(candidate.Doc), Tag: sanitize(candidate.Kind)})
	}
	out := readline.CompleteRaw(values).NoSort()
	out.PREFIX = before[start:]
	return out
}
