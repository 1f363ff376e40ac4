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
	"strings"
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
	// askOutside is how often a server that does not know its address outside
	// asks whether it has changed: a router's does without a sign inside.
	askOutside = 5 * time.Minute
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
	hosts     []string
	port      int
	seenAs    string
	record    *qpcv1.EndpointRecord
	at, asked time.Time
}

// due tells whether a record must be made.
func (l published) due(hosts []string, port int, now time.Time) bool {
	return l.record == nil || !slices.Equal(l.hosts, hosts) || l.port != port || now.Sub(l.at) >= interval
}

// Run publishes at once, every hour, and when the address changes, until ctx
// ends. A change that only others see is noticed within askOutside.
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
	hosts = slices.Clone(hosts)
	for i, h := range hosts {
		hosts[i] = strings.ToLower(h)
	}
	hosts = slices.DeleteFunc(hosts, func(h string) bool { return !rendezvous.ValidHost(h) })
	if len(hosts) == 0 && !p.Guess {
		return errNowhere
	}
	var mu sync.Mutex
	var errs []error
	var visits sync.WaitGroup
	for i := range p.At {
		last := p.lastAt(i)
		if now := p.Now(); !last.due(hosts, port, now) && (!p.Guess || now.Sub(last.asked) < askOutside) {
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
	last := p.lastAt(i)
	if !last.due(hosts, port, p.Now()) {
		// The same record again changes nothing there, and tells the address.
		resp, err := leave(ctx, conn, last.record)
		if err != nil {
			return err
		}
		if last.asked = p.Now(); resp.SeenAs == last.seenAs {
			p.note(i, last)
			return nil
		}
		last.seenAs = resp.SeenAs
	}
	next := published{hosts: hosts, port: port, seenAs: last.seenAs}
	for range 2 {
		if next.record, err = p.sign(p.with(hosts, next.seenAs), port); err != nil {
			return err
		}
		resp, err := leave(ctx, conn, next.record)
		if err != nil {
			return err
		}
		if !p.Guess || resp.SeenAs == next.seenAs {
			break
		}
		next.seenAs = resp.SeenAs
	}
	next.at = p.Now()
	next.asked = next.at
	p.note(i, next)
	return nil
}

func (p *Publisher) note(i int, l published) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = make(map[int]published)
	}
	p.last[i] = l
}

// errNowhere: a record would have nothing to say.
var errNowhere = errors.New("none of this server's hosts can be told to others: set public_host to a name or an address")

// with adds the address that a rendezvous server sees to the hosts.
func (p *Publisher) with(hosts []string, seenAs string) []string {
	ip, err := netip.ParseAddr(seenAs)
	if !p.Guess || err != nil || ip.IsLoopback() || !rendezvous.ValidHost(seenAs) || slices.Contains(hosts, seenAs) {
		return hosts
	}
	all := append([]string{seenAs}, hosts...)
	return all[:min(len(all), rendezvous.MaxHosts)]
}

func (p *Publisher) sign(hosts []string, port int) (*qpcv1.EndpointRecord, error) {
	if len(hosts) == 0 {
		return nil, errNowhere
	}
	now := p.Now()
	return rendezvous.Sign(p.Key, rendezvous.Endpoint{Hosts: hosts, Port: port, Issued: now, Expires: now.Add(life)})
}

func leave(ctx context.Context, conn *wire.Conn, record *qpcv1.EndpointRecord) (*qpcv1.PublishEndpointResponse, error) {
	resp := &qpcv1.PublishEndpointResponse{}
	return resp, conn.Call(ctx, &qpcv1.PublishEndpointRequest{Record: record}, resp)
}
