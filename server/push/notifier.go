package push

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"quicprochat/server/storage"
)

const (
	// delay is how long an item may wait for its device before a push service
	// is asked: most are acknowledged by then, here or on another node.
	delay = time.Second
	// quiet is how long a device that was woken is left alone, unless it has
	// fetched something meanwhile.
	quiet = 5 * time.Minute
	// patience is how long a connected device may take to acknowledge before
	// the item is left to its connection.
	patience = 2 * time.Minute
	// maxWaiting bounds the queues that are remembered. What is beyond is not
	// woken, until the next message.
	maxWaiting = 50_000
	// maxSends and maxSendsPerService bound the requests at a time, of all and
	// to one push service, so that a slow one does not hold up the others.
	maxSends           = 32
	maxSendsPerService = 8
	// maxTries is how often a message is sent, and firstRetry how long the
	// first wait between two tries is; it doubles.
	maxTries   = 5
	firstRetry = 10 * time.Second
)

// Presence tells whether a device is connected to this node, and whether it
// has acknowledged everything up to a seq of its queue; seq 0 is the newest.
type Presence interface {
	Presence(queue storage.QueueID, seq uint64) (connected, caughtUp bool)
}

// note is what is remembered of a queue into which something came.
type note struct {
	seq   uint64 // of the newest item; 0: not known
	since time.Time
	next  time.Time // not before
	tries int
}

// woken is what is remembered of a device that was woken.
type woken struct {
	at    time.Time
	acked uint64
}

// Notifier wakes the devices that are not connected. It keeps what it knows in
// memory only: after a crash, the next message wakes.
type Notifier struct {
	store    storage.PushStore
	presence Presence
	sender   *sender
	vault    vault
	allowed  networks
	now      func() time.Time
	log      *slog.Logger

	start chan struct{} // something waits
	sends sync.WaitGroup

	mu      sync.Mutex
	waiting map[storage.QueueID]note
	woken   map[storage.QueueID]woken
	held    map[string]time.Time // push services that want to be left alone, and until when
	busy    map[string]int       // requests to a push service
	sending map[storage.QueueID]bool
}

// Wake notes what came into queues. It does not block.
func (n *Notifier) Wake(appended ...storage.Appended) {
	if len(appended) == 0 {
		return
	}
	now := n.now()
	n.mu.Lock()
	for _, a := range appended {
		n.note(a.Queue, note{seq: a.Item.Seq, since: now, next: now.Add(delay)})
	}
	n.mu.Unlock()
	select {
	case n.start <- struct{}{}:
	default:
	}
}

// note remembers a queue. What is known of it already stays, but for a newer
// seq. The caller holds mu.
func (n *Notifier) note(queue storage.QueueID, add note) {
	known, ok := n.waiting[queue]
	switch {
	case ok && (add.seq == 0 || known.seq == 0):
		known.seq = 0
		n.waiting[queue] = known
	case ok:
		known.seq = max(known.seq, add.seq)
		n.waiting[queue] = known
	case len(n.waiting) < maxWaiting:
		n.waiting[queue] = add
	}
}

// run wakes devices until ctx ends, and returns when nothing is under way.
func (n *Notifier) run(ctx context.Context) {
	defer n.sender.close()
	defer n.sends.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.start:
		}
		for n.left() > 0 {
			timer.Reset(delay)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				n.round(ctx)
			}
		}
	}
}

// left is how many queues are to be looked at again.
func (n *Notifier) left() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting) + len(n.sending)
}

// round looks at everything that is due.
func (n *Notifier) round(ctx context.Context) {
	now := n.now()
	due := n.takeDue(now)
	queues := make([]storage.QueueID, 0, min(len(due), storage.MaxPushTargets))
	flush := func() {
		n.lookUp(ctx, queues, due, now)
		queues = queues[:0]
	}
	for queue, one := range due {
		switch connected, caughtUp := n.presence.Presence(queue, one.seq); {
		case caughtUp, connected && now.Sub(one.since) > patience:
			continue
		case connected:
			n.later(queue, one, now.Add(delay))
			continue
		}
		if queues = append(queues, queue); len(queues) == storage.MaxPushTargets {
			flush()
		}
	}
	if len(queues) > 0 {
		flush()
	}
}

// takeDue takes what is due out of what waits, and forgets what is over.
func (n *Notifier) takeDue(now time.Time) map[storage.QueueID]note {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.woken, func(_ storage.QueueID, w woken) bool { return now.Sub(w.at) >= quiet })
	maps.DeleteFunc(n.held, func(_ string, until time.Time) bool { return !now.Before(until) })
	due := make(map[storage.QueueID]note)
	for queue, one := range n.waiting {
		if !now.Before(one.next) && !n.sending[queue] {
			due[queue] = one
			delete(n.waiting, queue)
		}
	}
	return due
}

// later has a queue looked at again.
func (n *Notifier) later(queue storage.QueueID, one note, next time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	newer, ok := n.waiting[queue]
	delete(n.waiting, queue)
	one.next = next
	if ok {
		n.note(queue, one)
		n.note(queue, newer)
		return
	}
	n.note(queue, one)
}

// lookUp asks the store who of the owners of queues can be woken and has not
// fetched meanwhile.
func (n *Notifier) lookUp(ctx context.Context, queues []storage.QueueID, due map[storage.QueueID]note, now time.Time) {
	targets, err := n.store.PushTargets(ctx, queues)
	if err != nil {
		if ctx.Err() == nil {
			n.log.Error("looking for devices to wake failed", "error", err)
		}
		for _, queue := range queues {
			n.later(queue, due[queue], now.Add(firstRetry))
		}
		return
	}
	for _, target := range targets {
		one := due[target.Queue]
		if target.Acked >= target.LastSeq || one.seq != 0 && target.Acked >= one.seq {
			continue
		}
		n.begin(ctx, target, one, now)
	}
}

// begin sends to a device, unless it was woken a little before or its push
// service has enough to do.
func (n *Notifier) begin(ctx context.Context, target storage.PushTarget, one note, now time.Time) {
	req, err := n.vault.open(target.Queue, target.Sealed)
	if err != nil {
		n.log.Error("a stored push registration does not open")
		return
	}
	r, err := parseRegistration(req, n.allowed)
	if err != nil {
		return // the configuration has changed since
	}
	origin := r.origin()
	n.mu.Lock()
	defer n.mu.Unlock()
	if w, ok := n.woken[target.Queue]; ok && target.Acked <= w.acked {
		return
	}
	wait := time.Duration(0)
	if until, ok := n.held[origin]; ok {
		wait = until.Sub(now)
	} else if len(n.sending) >= maxSends || n.busy[origin] >= maxSendsPerService {
		wait = delay
	}
	if wait > 0 {
		one.next = now.Add(wait)
		n.note(target.Queue, one)
		return
	}
	n.sending[target.Queue] = true
	n.busy[origin]++
	n.sends.Go(func() {
		result := n.sender.send(ctx, r)
		n.settle(ctx, target, one, origin, result)
	})
}

// settle decides what an outcome means for the device and its push service.
func (n *Notifier) settle(ctx context.Context, target storage.PushTarget, one note, origin string, result outcome) {
	if result.verdict == gone {
		if err := n.store.ForgetPush(ctx, target.Queue, target.Sealed); err != nil && ctx.Err() == nil {
			n.log.Error("deleting a push registration failed", "error", err)
		}
	}
	now := n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sending, target.Queue)
	if n.busy[origin]--; n.busy[origin] <= 0 {
		delete(n.busy, origin)
	}
	if ctx.Err() != nil || result.verdict == gone {
		return
	}
	if one.tries++; result.verdict == tryAgain && one.tries < maxTries {
		backoff := firstRetry << (one.tries - 1)
		one.next = now.Add(max(result.after, backoff/2+rand.N(backoff/2)))
		if result.after > 0 && len(n.held) < maxWaiting {
			n.held[origin] = now.Add(result.after)
		}
		newer, ok := n.waiting[target.Queue]
		delete(n.waiting, target.Queue)
		n.note(target.Queue, one)
		if ok {
			n.note(target.Queue, newer)
		}
		return
	}
	// Delivered, or given up: in both cases it is left alone for a while.
	if len(n.woken) < maxWaiting {
		n.woken[target.Queue] = woken{now, target.Acked}
	}
	if result.verdict != delivered {
		n.log.Warn("waking a device failed", "reason", result.why)
	}
}
