package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"quicprochat/server/stats"
)

type statsCmd struct {
	settings
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints how much the server keeps.
func (cmd *statsCmd) Run(c *console) error {
	cfg, err := cmd.loadExisting(c.environ)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := stats.Collect(ctx, cfg, time.Now())
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	if cmd.JSON {
		return c.printJSON(s)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "accounts\t%d\ndevices\t%d\ngroups\t%d\n", s.Accounts, s.Devices, s.Channels)
	fmt.Fprintf(w, "waiting items\t%d in %d queues, %s\n", s.Items, s.Queues, size(s.ItemBytes))
	if s.Overflowed > 0 {
		fmt.Fprintf(w, "full queues\t%d have lost items; their devices were away for long\n", s.Overflowed)
	}
	fmt.Fprintf(w, "files\t%d, %s; %d being uploaded\n", s.Blobs, size(s.BlobBytes), s.Uploads)
	fmt.Fprintf(w, "invites\t%d can be used\ndatabase\t%s\n", s.Invites, size(s.DatabaseBytes))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	w = tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "day (UTC)\tnew accounts\tnew devices\tgroups last active\t")
	for _, d := range s.Days {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", d.Day.Format(time.DateOnly), d.Accounts, d.Devices, d.Channels)
	}
	return w.Flush()
}
