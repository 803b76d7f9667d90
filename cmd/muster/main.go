package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process immediately
	}()
	a := app{stdin: os.Stdin, stdout: terminalWriter(os.Stdout), stderr: terminalWriter(os.Stderr)}
	os.Exit(a.run(ctx, os.Args[1:]))
}
