// Package rendezvous leaves word at other servers where this one can be
// reached, so that clients find it again when its address has changed.
package rendezvous

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"quicprochat/core/rendezvous"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// interval is how often a record is renewed, and life how long it counts: a
	// server that is off for a day or two is found when it is back.
	interval = time.Hour
	life     = 7 * 24 * time.Hour
	// look is how often the publisher looks whether its address has changed, and
	// tries again where a server could not be reached.
	look = time.Minute
	// timeout bounds the visit to one server.
	timeout = 30 * time.Second
)

// Publisher leaves word at other servers.
type Publisher struct {
	// Key is the server's TLS key.
	Key crypto.Signer
	// At are the servers at which word is left.
	At []wire.Link
	// Where gives the hosts and the port at which this server believes to be
	// reachable now.
	Where func() (hosts []string, port int)
	// Guess adds the address that a rendezvous server sees, because no host was
	// configured and this machine may be behind a router.
	Guess bool
	Now   func() time.Time
	Log   *slog.Logger

	mu   sync.Mutex
	last map[int]published // by the place in At
}

// published is what a server was told last.
type published struct {
	hosts  []string
	port   int
	seenAs string
	at     time.Time
}

// Run publishes at once, every hour, and when the address changes, until ctx
// ends.
func (p *Publisher) Run(ctx context.Context) {
	if len(p.At) == 0 {
		return
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	told := false // of a failure, which is tried again each minute
	for {
		err := p.Publish(ctx)
		if err != nil && !told && ctx.Err() == nil {
			p.Log.Warn("a rendezvous server did not take this server's address; trying again", "error", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Publish leaves word where that is due. Errors name no address.
func (p *Publisher) Publish(ctx context.Context) error {
	hosts, port := p.Where()
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !rendezvous.ValidHost(h) })
	var mu sync.Mutex
	var errs []error
	var visits sync.WaitGroup
	for i := range p.At {
		last := p.lastAt(i)
		if slices.Equal(last.hosts, hosts) && last.port == port && p.Now().Sub(last.at) < interval {
			continue
		}
		visits.Go(func() {
			if err := p.visit(ctx, i, hosts, port); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("server %d: %w", i+1, err))
			}
		})
	}
	visits.Wait()
	return errors.Join(errs...)
}

func (p *Publisher) lastAt(i int) published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[i]
}

// visit leaves word at one server. Where it sees this one at an address that
// is not in the record, and that may be the one that friends need, it gets a
// second record.
func (p *Publisher) visit(ctx context.Context, i int, hosts []string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := wire.Dial(ctx, p.At[i], wire.DialOptions{})
	if err != nil {
		return err
	}
	defer conn.Close()
	seenAs := p.lastAt(i).seenAs
	for range 2 {
		all := p.with(hosts, seenAs)
		if len(all) > 0 {
			resp, err := p.leave(ctx, conn, all, port)
			if err != nil {
				return err
			}
			if !p.Guess || resp.SeenAs == seenAs {
				break
			}
			seenAs = resp.SeenAs
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = make(map[int]published)
	}
	p.last[i] = published{hosts, port, seenAs, p.Now()}
	return nil
}

// with adds the address that a rendezvous server sees to the hosts.
func (p *Publisher) with(hosts []string, seenAs string) []string {
	ip, err := netip.ParseAddr(seenAs)
	if !p.Guess || err != nil || ip.IsLoopback() || !rendezvous.ValidHost(seenAs) || slices.Contains(hosts, seenAs) {
		return hosts
	}
	all := append([]string{seenAs}, hosts...)
	return all[:min(len(all), rendezvous.MaxHosts)]
}

func (p *Publisher) leave(ctx context.Context, conn *wire.Conn, hosts []string, port int) (*qpcv1.PublishEndpointResponse, error) {
	now := p.Now()
	record, err := rendezvous.Sign(p.Key, rendezvous.Endpoint{Hosts: hosts, Port: port, Issued: now, Expires: now.Add(life)})
	if err != nil {
		return nil, err
	}
	resp := &qpcv1.PublishEndpointResponse{}
	return resp, conn.Call(ctx, &qpcv1.PublishEndpointRequest{Record: record}, resp)
}
