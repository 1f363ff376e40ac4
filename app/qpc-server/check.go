package main

import (
	"context"
	"fmt"
	"time"

	"quicprochat/server/check"
)

type checkCmd struct {
	settings
}

// Run prints a line for everything that was looked at, and fails where one of
// them is wrong.
func (cmd *checkCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "ok    the configuration is complete")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	wrong := 0
	report := func(finding check.Finding) {
		fmt.Fprintf(c.out, "%-5s %s\n", finding.Grade, indent(finding.Text))
		if finding.Grade == check.Wrong {
			wrong++
		}
	}
	for finding := range check.Run(ctx, cfg, time.Now()) {
		report(finding)
	}
	if cfg.BlobURL != "" {
		report(bucketFinding(ctx, cfg.BlobURL))
	}
	if cfg.Bus.URL != "" {
		report(busFinding(ctx, cfg.Bus))
	}
	switch wrong {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("one thing is wrong")
	default:
		return fmt.Errorf("%d things are wrong", wrong)
	}
}
