// Package check looks a server's set-up over and says in words what it finds.
// It changes nothing, and works beside a running server.
package check

import (
	"context"
	"iter"
	"time"

	"quicprochat/server/config"
)

// Grade says how bad a finding is.
type Grade string

// The grades.
const (
	OK      Grade = "ok"
	Warning Grade = "warn"
	Wrong   Grade = "WRONG"
)

// Finding is what was found at one place, in a sentence or more.
type Finding struct {
	Grade Grade  `json:"grade"`
	Text  string `json:"text"`
}

// Run looks at everything in turn. now is what the machine believes the time
// to be.
func Run(ctx context.Context, cfg config.Config, now time.Time) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		for _, look := range []func() []Finding{
			func() []Finding { return dataDir(cfg.DataDir) },
			func() []Finding { return disk(cfg.DataDir) },
			func() []Finding { return keyFiles(cfg.DataDir) },
			func() []Finding { return certificate(cfg, now) },
			func() []Finding { return database(ctx, cfg, now) },
			func() []Finding { return clock(ctx, cfg, now) },
			func() []Finding { return port(ctx, cfg) },
			func() []Finding { return linkHost(cfg) },
		} {
			for _, finding := range look() {
				if !yield(finding) {
					return
				}
			}
		}
	}
}

func ok(text string) []Finding    { return []Finding{{OK, text}} }
func warn(text string) []Finding  { return []Finding{{Warning, text}} }
func wrong(text string) []Finding { return []Finding{{Wrong, text}} }
