package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// roamer dials one of several servers, another one when the last failed.
type roamer struct {
	t     testing.TB
	nodes []*process
	at    int
}

const (
	roamCall = 10 * time.Second
	// roamIdle is after how long a server that was killed is given up.
	roamIdle = time.Second
)

// dial connects to one of the servers, sooner or later. It gives up with ctx.
func (r *roamer) dial(ctx context.Context, onPush func(qpcv1.EventType, []byte)) (*wire.Conn, error) {
	for {
		r.at = (r.at + 1) % len(r.nodes)
		link, err := wire.ParseLink(r.nodes[r.at].link)
		if err != nil {
			return nil, err
		}
		c, err := wire.Dial(ctx, link, wire.DialOptions{OnPush: onPush, KeepAlive: roamIdle / 4, IdleTimeout: roamIdle, HandshakeTimeout: roamIdle})
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(10 * time.Millisecond) // as clients do
	}
}

// caller makes calls on the anonymous connection, through whichever server.
type caller struct {
	roamer
	conn *wire.Conn
}

// connect makes a connection where there is none that works.
func (c *caller) connect(ctx context.Context) error {
	if c.conn != nil && c.conn.Err() == nil {
		return nil
	}
	var err error
	c.conn, err = c.dial(ctx, nil)
	return err
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		<-c.conn.Done()
	}
}

// try makes a call once. An error that is no *wire.Error leaves open whether it
// was carried out, and the next try takes another server.
func (c *caller) try(ctx context.Context, req, resp proto.Message) error {
	callCtx, cancel := context.WithTimeout(ctx, roamCall)
	defer cancel()
	err := c.conn.Call(callCtx, req, resp)
	if _, answered := errors.AsType[*wire.Error](err); err != nil && !answered {
		c.close()
		c.conn = nil
	}
	return err
}

// place is a channel as the roaming clients share it.
type place struct {
	*room
	mu      sync.Mutex // over epoch
	members []*traveller
	posts   int
}

// now is a post's or a commit's epoch.
func (p *place) now() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

func (p *place) moved(to uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch = max(p.epoch, to)
}

// post posts, or commits, until it is answered, as clients do: under the same
// item id, and at the epoch of the moment.
func (c *caller) post(ctx context.Context, p *place, commit bool) error {
	item, message := random(16), random(200)
	for {
		if err := c.connect(ctx); err != nil {
			return err
		}
		epoch, key := p.now(), p.keys[0]
		var err error
		if commit {
			body := &qpcv1.CommitBody{ChannelId: p.id, Epoch: epoch, ItemId: item, MlsMessage: message, NextVerifyKey: publicOf(key)}
			err = c.try(ctx, p.commitRequest(body, key), &qpcv1.CommitResponse{})
		} else {
			body := &qpcv1.PostBody{ChannelId: p.id, Epoch: epoch, ItemId: item, MlsMessage: message}
			err = c.try(ctx, p.postRequest(body, key), &qpcv1.PostResponse{})
		}
		answer, _ := errors.AsType[*wire.Error](err)
		switch {
		case err == nil:
			if commit {
				p.moved(epoch + 1)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case answer != nil && answer.Code == qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH:
			p.moved(answer.Stale.CurrentEpoch)
		case answer != nil && answer.Code != qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE && answer.Code != qpcv1.ErrorCode_ERROR_CODE_INTERNAL:
			return err
		}
	}
}

// traveller is a client whose account connection goes from server to server.
type traveller struct {
	roamer
	*member

	mu       sync.Mutex
	upTo     uint64 // seq of the newest item taken in
	seen     map[string]uint64
	channels map[string][]uint64 // channel seqs in the order of arrival
	faults   []string
	repeated int
}

func newTraveller(t testing.TB, nodes []*process, at int, m *member) *traveller {
	return &traveller{roamer: roamer{t: t, nodes: nodes, at: at}, member: m, seen: make(map[string]uint64), channels: make(map[string][]uint64)}
}

// take takes in what was pushed, drops what it has, and notes what must not be.
func (v *traveller) take(event qpcv1.EventType, payload []byte) {
	if event != qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS {
		return
	}
	var items qpcv1.QueueItems
	if err := proto.Unmarshal(payload, &items); err != nil {
		v.faults = append(v.faults, err.Error())
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, item := range items.Items {
		before, there := v.seen[string(item.ItemId)]
		switch {
		case there && before != item.Seq:
			v.faults = append(v.faults, "an item is twice in the queue")
			continue
		case there:
			v.repeated++
			continue
		case item.Seq != v.upTo+1:
			v.faults = append(v.faults, "an item was left out")
		}
		v.seen[string(item.ItemId)], v.upTo = item.Seq, max(v.upTo, item.Seq)
		channel, seq := item.GetMessage().GetChannelId(), item.GetMessage().GetChannelSeq()
		if commit := item.GetCommit(); commit != nil {
			channel, seq = commit.ChannelId, commit.ChannelSeq
		}
		v.channels[string(channel)] = append(v.channels[string(channel)], seq)
	}
}

func (v *traveller) taken() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.upTo
}

// travel receives and acknowledges until ctx ends, from another server whenever
// the connection ends.
func (v *traveller) travel(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := v.roamer.dial(ctx, v.take)
		if err != nil {
			return
		}
		if v.subscribeOn(ctx, c) == nil {
			v.acknowledge(ctx, c)
		}
		c.Close()
		<-c.Done()
	}
}

func (v *traveller) subscribeOn(ctx context.Context, c *wire.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, roamCall)
	defer cancel()
	exporter, err := c.Exporter()
	if err != nil {
		return err
	}
	d := v.member
	err = c.Call(ctx, &qpcv1.AuthenticateRequest{
		AccountId: d.person.id[:], DeviceId: d.id[:], Signature: identity.SignDeviceAuth(d.private, d.person.id, d.id, exporter),
	}, &qpcv1.AuthenticateResponse{})
	if err != nil {
		return err
	}
	return c.Call(ctx, &qpcv1.SubscribeRequest{AfterSeq: v.taken()}, &qpcv1.SubscribeResponse{})
}

// acknowledge acknowledges what came in now and then, until the connection ends.
func (v *traveller) acknowledge(ctx context.Context, c *wire.Conn) {
	for acked := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-c.Done():
			return
		case <-time.After(time.Duration(5+rand.IntN(30)) * time.Millisecond):
		}
		upTo := v.taken()
		if upTo == acked {
			continue
		}
		callCtx, cancel := context.WithTimeout(ctx, roamCall)
		err := c.Call(callCtx, &qpcv1.AckRequest{UpToSeq: upTo}, &qpcv1.AckResponse{})
		cancel()
		if err == nil {
			acked = upTo
		}
	}
}
