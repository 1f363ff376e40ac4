package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/monitor"
)

// stopTime is how long calls under way may take when the server is stopped.
const stopTime = 15 * time.Second

type serveCmd struct {
	settings
}

// hangUp makes the running server read its configuration again.
const hangUp = syscall.SIGHUP

// Run serves until SIGINT or SIGTERM; a second signal ends the program at once.
// SIGHUP makes it read the configuration and the certificate again.
func (cmd *serveCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1) // from the first moment on: the signal ends programs that do not ask for it
	signal.Notify(hup, hangUp)
	defer signal.Stop(hup)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(server.GCPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	options, err := bucketOption(ctx, cfg.BlobURL)
	if err != nil {
		return err
	}
	log, level := newLogger(cfg.Log, c)
	s, err := newServer(cfg, log, append(options, server.WithBus(openBus))...)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return shutdown(s, err)
	}
	monitored := cmd.monitor(ctx, s, cfg.Ops, log)
	for running := true; running; {
		select {
		case <-hup:
			cmd.reload(s, c, level)
		case <-ctx.Done():
			running = false
		case <-s.Done():
			running = false
		}
	}
	stop()
	<-monitored
	return shutdown(s, nil)
}

// reload puts into force what the configuration says now. Where it is wrong,
// all stays as it was.
func (cmd *serveCmd) reload(s *server.Server, c *console, level *slog.LevelVar) {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		s.ReloadFailed(err)
		return
	}
	if _, err := s.Reload(cfg); err == nil { // else it is in the log
		level.Set(cfg.Log.Level)
	}
}

// monitor shows the server to its operator's tools until ctx ends, and closes
// the channel then. A server that cannot be watched serves all the same.
func (cmd *serveCmd) monitor(ctx context.Context, s *server.Server, o config.Ops, log *slog.Logger) <-chan struct{} {
	done := make(chan struct{})
	if o.Listen == "" {
		close(done)
		return done
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		log.Error("metrics and health cannot be asked for: ops.listen cannot be listened on", "error", err)
		close(done)
		return done
	}
	log.Info("metrics and health", "listen", ln.Addr().String())
	go func() {
		defer close(done)
		if err := monitor.Serve(ctx, ln, monitor.Handler(s, o.Expose == config.ExposeNetwork), log); err != nil {
			log.Error("metrics and health ended", "error", err)
		}
	}()
	return done
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
