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
		stop() // a second signal ends the process at once
	}()
	a := app{stdin: os.Stdin, stdout: onTerminal(os.Stdout), stderr: onTerminal(os.Stderr)}
	os.Exit(a.run(ctx, os.Args[1:]))
}
