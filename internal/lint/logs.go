package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// logCalls are the methods of slog.Logger that take keys and values, with the number of arguments before those.
var logCalls = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0,
	"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
	"Note": 3, // of retrylog.Tries
}

// loggers are the names of variables and fields that are loggers.
var loggers = []string{"log", "logger", "slog"}

var logKey = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// errorKeys are keys that must not be used for errors.
var errorKeys = []string{"error", "cause", "e", "failure"}

// Logs requires that log calls have constant keys in lower case, and that errors have the key "err".
func Logs(f *File) []Finding {
	if f.IsTest() {
		return nil
	}
	var found []Finding
	ast.Inspect(f.AST, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		first, known := logCalls[method.Sel.Name]
		if !known || len(call.Args) <= first || method.Sel.Name != "Note" && !slices.Contains(loggers, strings.ToLower(lastName(method.X))) {
			return true
		}
		for i := first; i < len(call.Args) && !(call.Ellipsis.IsValid() && i == len(call.Args)-1); i += 2 {
			if what := logFault(call.Args[i], call.Args[i+1:]); what != "" {
				found = append(found, Finding{f.at(call.Args[i].Pos()), what, `write "key", value, with "err" for errors`})
			}
		}
		return true
	})
	return found
}

// logFault returns what is wrong with a key; rest is the arguments after it, beginning with its value.
func logFault(key ast.Expr, rest []ast.Expr) string {
	text, ok := key.(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return "the key of a log line is not a constant"
	}
	name, err := strconv.Unquote(text.Value)
	switch {
	case err != nil || !logKey.MatchString(name):
		return fmt.Sprintf("the key %s of a log line is not in lower case with underscores", text.Value)
	case slices.Contains(errorKeys, name):
		return fmt.Sprintf("the key %s of a log line, which must be \"err\" for errors", text.Value)
	case len(rest) == 0:
		return fmt.Sprintf("the key %s of a log line has no value", text.Value)
	case name != "err" && isError(rest[0]):
		return fmt.Sprintf("an error has the key %s in a log line", text.Value)
	}
	return ""
}

// isError reports whether an expression looks like an error: err, somethingErr, x.err, x.Err().
func isError(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok {
		e = call.Fun
	}
	name := lastName(e)
	return name == "err" || name == "Err" || name == "cause" || strings.HasSuffix(name, "Err")
}

// lastName returns the last identifier of an expression: c for a.b.c.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr: // log.With(…)
		if with, ok := e.Fun.(*ast.SelectorExpr); ok {
			return lastName(with.X)
		}
	}
	return ""
}
