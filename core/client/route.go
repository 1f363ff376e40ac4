package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quicprochat/core/rendezvous"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// askAfter is after how many failed attempts in a row the rendezvous servers
	// are asked where the server is, and askAgain how long until they are asked
	// again. Each has askTimeout.
	askAfter   = 2
	askAgain   = 30 * time.Second
	askTimeout = 4 * time.Second
	// maxRendezvous is how many of them are remembered.
	maxRendezvous = 8
)

// route knows where the server is, and who may know when it is there no more.
type route struct {
	original Link // as the profile was made with

	asking sync.Mutex // held while others are asked
	saving sync.Mutex // held while stored changes

	mu       sync.Mutex
	stored   storedRoute
	link     Link   // where it was reached last
	servers  []Link // the rendezvous
	failures int
	asked    time.Time
}

// storedRoute is what the vault keeps of a route.
type storedRoute struct {
	// Link is where the server has moved to; empty: it is where it was.
	Link string `json:"link,omitempty"`
	// Issued is that of the record that said so, in milliseconds since 1970.
	Issued     int64    `json:"issued,omitempty"`
	Rendezvous []string `json:"rendezvous,omitempty"`
}

func loadRoute(tx *vault.Tx, original Link) (*route, error) {
	r := &route{original: original, link: original}
	raw, err := tx.Setting(settingRoute)
	if errors.Is(err, vault.ErrNotFound) {
		return r, nil
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &r.stored); err != nil {
		return nil, fmt.Errorf("%w: route: %w", ErrProfileCorrupt, err)
	}
	r.servers = rendezvousLinks(r.stored.Rendezvous)
	if moved, err := ParseLink(r.stored.Link); r.stored.Link != "" && err == nil && string(moved.Pin) == string(original.Pin) {
		r.link = moved
	}
	return r, nil
}

// rendezvousLinks reads the links that a server names. What cannot be used is
// left out.
func rendezvousLinks(texts []string) []Link {
	var links []Link
	for _, text := range texts {
		if link, err := ParseLink(text); err == nil && len(links) < maxRendezvous {
			link.Token = nil
			links = append(links, link)
		}
	}
	return links
}

func (r *route) current() Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func (r *route) reached() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = 0
}

// ask counts a failed attempt and returns whom to ask now; nobody, where it is
// too early.
func (r *route) ask(now time.Time) []Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
	if r.failures < askAfter || len(r.original.Pin) == 0 || now.Sub(r.asked) < askAgain && !r.asked.After(now) {
		return nil
	}
	r.asked = now
	return r.servers
}

// Rendezvous are the servers that know where the own one is when it has moved.
func (c *Client) Rendezvous() []Link {
	c.route.mu.Lock()
	defer c.route.mu.Unlock()
	return slices.Clone(c.route.servers)
}

// learnRendezvous remembers the servers at which the own one leaves word.
func (c *Client) learnRendezvous(ctx context.Context) error {
	var m qpcv1.InfoResponse
	if err := c.anonymous.call(ctx, &qpcv1.InfoRequest{}, &m); err != nil {
		return err
	}
	links := rendezvousLinks(m.Rendezvous)
	texts := make([]string, len(links))
	for i, l := range links {
		texts[i] = l.String()
	}
	return c.changeRoute(ctx, func(stored *storedRoute) { stored.Rendezvous = texts })
}

// changeRoute changes what the vault keeps of the route. Both connections and
// the maintenance do so, each with what it has learned.
func (c *Client) changeRoute(ctx context.Context, change func(*storedRoute)) error {
	c.route.saving.Lock()
	defer c.route.saving.Unlock()
	c.route.mu.Lock()
	before := c.route.stored
	c.route.mu.Unlock()
	stored := before
	change(&stored)
	if stored.Link == before.Link && stored.Issued == before.Issued && slices.Equal(stored.Rendezvous, before.Rendezvous) {
		return nil
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	err = c.vault.Update(ctx, func(tx *vault.Tx) error { return tx.PutSetting(settingRoute, raw) })
	if err != nil {
		return err
	}
	c.route.mu.Lock()
	defer c.route.mu.Unlock()
	c.route.stored, c.route.servers = stored, rendezvousLinks(stored.Rendezvous)
	return nil
}

// dial connects to the server where it was last. After a few failures it asks
// the rendezvous servers, and tries where they say, and where it was at first.
// Whoever answers there has to have the server's key.
func (c *Client) dial(ctx context.Context, opts wire.DialOptions) (*wire.Conn, error) {
	conn, err := wire.Dial(ctx, c.route.current(), opts)
	switch {
	case err == nil:
		c.route.reached()
		return conn, nil
	case !elsewhere(err) || ctx.Err() != nil:
		return nil, err
	}
	c.route.asking.Lock()
	defer c.route.asking.Unlock()
	servers := c.route.ask(c.now())
	if len(servers) == 0 {
		return nil, err
	}
	if conn := c.follow(ctx, c.askWhere(ctx, servers), opts); conn != nil {
		c.route.reached()
		return conn, nil
	}
	return nil, err
}

// elsewhere tells of a failure that a move of the server would explain.
func elsewhere(err error) bool {
	for _, e := range []error{wire.ErrUnreachable, wire.ErrPinMismatch, wire.ErrIncompatible} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// askWhere asks all servers at once, and returns the latest of the records that
// they have and that hold.
func (c *Client) askWhere(ctx context.Context, servers []Link) (latest rendezvous.Endpoint) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	var visits sync.WaitGroup
	for _, server := range servers {
		visits.Go(func() {
			found, err := askOne(ctx, server, c.route.original.Pin, c.now())
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if found.Issued.After(latest.Issued) {
				latest = found
			}
		})
	}
	visits.Wait()
	return latest
}

func askOne(ctx context.Context, server Link, pin []byte, now time.Time) (rendezvous.Endpoint, error) {
	conn, err := wire.Dial(ctx, server, wire.DialOptions{})
	if err != nil {
		return rendezvous.Endpoint{}, err
	}
	defer conn.Close()
	resp := new(qpcv1.ResolveEndpointResponse)
	if err := conn.Call(ctx, &qpcv1.ResolveEndpointRequest{Pin: pin}, resp); err != nil {
		return rendezvous.Endpoint{}, err
	}
	return rendezvous.OpenFor(pin, resp.Record, now)
}

// follow dials where a record says, unless a later one is known, and where the
// server was at first. It remembers what worked.
func (c *Client) follow(ctx context.Context, found rendezvous.Endpoint, opts wire.DialOptions) *wire.Conn {
	c.route.mu.Lock()
	latest := c.route.stored.Issued
	c.route.mu.Unlock()
	links := []Link{c.route.original}
	if issued := found.Issued.UnixMilli(); len(found.Hosts) > 0 && issued >= latest {
		links = nil
		for _, host := range found.Hosts {
			links = append(links, Link{Host: host, Port: found.Port, Pin: c.route.original.Pin})
		}
		links = append(links, c.route.original)
		latest = issued
	}
	conn, at := dialAny(ctx, links, opts)
	if conn == nil {
		return nil
	}
	c.route.mu.Lock()
	c.route.link = at
	c.route.mu.Unlock()
	moved := at.String()
	if at.Addr() == c.route.original.Addr() {
		moved = ""
	}
	err := c.changeRoute(ctx, func(stored *storedRoute) {
		stored.Link, stored.Issued = moved, max(stored.Issued, latest)
	})
	if err != nil {
		c.log.Warn("remember where the server is", "error", err)
	}
	return conn
}

// dialAny dials all at once and keeps the first connection.
func dialAny(ctx context.Context, links []Link, opts wire.DialOptions) (*wire.Conn, Link) {
	type attempt struct {
		conn *wire.Conn
		link Link
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt)
	for _, link := range links {
		go func() {
			conn, err := wire.Dial(ctx, link, opts)
			if err != nil {
				conn = nil
			}
			results <- attempt{conn, link}
		}()
	}
	var first attempt
	for range links {
		switch r := <-results; {
		case r.conn == nil:
		case first.conn == nil:
			first = r
			cancel()
		default:
			_ = r.conn.Close()
		}
	}
	return first.conn, first.link
}
