// Command demo shows the product at work: it starts the server on loopback,
// opens two desktop apps with throwaway profiles, and lets Alice, Bob and a
// third, headless member talk, through the programs as they are built. It
// leaves screenshots of both windows. Without a display it brings its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the built programs")
	out := flag.String("out", "dist/demo", "directory for the screenshots")
	stay := flag.Bool("stay", true, "where there is a display, leave the windows open until they are closed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *out, *stay); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the story in a temporary folder that it removes afterwards.
func run(ctx context.Context, bin, out string, stay bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quicprochat-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	display, headless, err := openDisplay(dir)
	if err != nil {
		return err
	}
	defer display.close()

	began := time.Now()
	s := &stage{ctx: ctx, bin: bin, dir: dir, out: out, env: display.env(), began: began}
	defer s.clear()
	if err := s.play(); err != nil {
		return err
	}
	fmt.Printf("\nScreenshots:\n")
	for _, file := range s.pictures {
		fmt.Printf("  %s\n", file)
	}
	if headless || !stay {
		return nil
	}
	fmt.Println("\nThe two windows are yours now. Close them, or press Ctrl+C, to end the demo.")
	return s.awaitWindows()
}
