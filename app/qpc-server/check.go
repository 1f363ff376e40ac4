package main

import (
	"context"
	"time"

	"quicprochat/server/check"
)

type checkCmd struct {
	settings
	JSON bool `name:"json" help:"Print JSON."`
	Live bool `help:"Only ask whether the server answers, as containers' health checks do."`
}

// Run prints a line for everything that was looked at, and fails where one of
// them is wrong.
func (cmd *checkCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if cmd.Live {
		return check.Live(ctx, cfg)
	}
	return c.tellFindings(func(yield func(check.Finding) bool) {
		if !yield(check.Finding{Grade: check.OK, Text: "the configuration is complete"}) {
			return
		}
		for finding := range check.Run(ctx, cfg, time.Now()) {
			if !yield(finding) {
				return
			}
		}
		if cfg.BlobURL != "" && !yield(bucketFinding(ctx, cfg.BlobURL)) {
			return
		}
		if cfg.Bus.URL != "" {
			yield(busFinding(ctx, cfg.Bus))
		}
	}, cmd.JSON)
}
