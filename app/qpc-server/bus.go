package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"quicprochat/server/bus"
	"quicprochat/server/bus/nats"
	"quicprochat/server/check"
	"quicprochat/server/config"
)

// openBus opens the NATS of a configuration.
func openBus(cfg config.Bus, key [32]byte, listener bus.Listener, log *slog.Logger) (bus.Bus, error) {
	b, err := nats.Open(busOptions(cfg, key, listener, log))
	if err != nil {
		return nil, err
	}
	return b, nil
}

func busOptions(cfg config.Bus, key [32]byte, listener bus.Listener, log *slog.Logger) nats.Options {
	return nats.Options{
		Servers: cfg.URL.Reveal(), CredentialsFile: cfg.CredentialsFile, CAFile: cfg.CAFile,
		Key: key, Listener: listener, Log: log,
	}
}

// busTime is how long a NATS may take to answer a check.
const busTime = 10 * time.Second

// busFinding tells whether the NATS of a configuration answers and delivers.
func busFinding(ctx context.Context, cfg config.Bus) check.Finding {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	err := nats.Check(ctx, busOptions(cfg, [32]byte{}, nil, slog.New(slog.DiscardHandler)))
	if err != nil {
		return check.Finding{Grade: check.Wrong, Text: fmt.Sprintf("the bus at %s cannot be used: %v", cfg.URL, err)}
	}
	if !cfg.URL.Private() {
		return check.Finding{Grade: check.Warning, Text: fmt.Sprintf("the bus at %s works, but the connection crosses the network without TLS: others see its password, if not what is told; write tls:// in bus.url", cfg.URL)}
	}
	return check.Finding{Grade: check.OK, Text: fmt.Sprintf("the bus at %s answers and delivers", cfg.URL)}
}
