package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"quicprochat/server"
)

// stopTime is how long calls under way may take when the server is stopped.
const stopTime = 15 * time.Second

type serveCmd struct {
	settings
}

// Run serves until SIGINT or SIGTERM; a second signal ends the program at once.
func (cmd *serveCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	options, err := bucketOption(ctx, cfg.BlobURL)
	if err != nil {
		return err
	}
	s, err := newServer(cfg, newLogger(cfg.Log, c), append(options, server.WithBus(openBus))...)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return shutdown(s, err)
	}
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	stop()
	return shutdown(s, nil)
}

// shutdown stops s and returns err where there is one, else how stopping went.
func shutdown(s *server.Server, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if stopErr := s.Shutdown(ctx); err == nil {
		err = stopErr
	}
	return err
}
