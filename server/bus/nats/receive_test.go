package nats

import (
	"slices"
	"testing"
	"time"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// ear is a bus that is not connected, and what it heard.
type ear struct {
	*Bus
	woken  []uint64
	endeds int
	misses int
}

func (e *ear) Ended(session.Ending) { e.endeds++ }
func (e *ear) Missed()              { e.misses++ }

func newEar(t testing.TB, queue storage.QueueID) *ear {
	t.Helper()
	e := &ear{}
	b, err := newBus(Options{Key: testKey, Listener: e})
	if err != nil {
		t.Fatal(err)
	}
	e.Bus = b
	t.Cleanup(b.Subscribe(queue, func(item storage.Item) { e.woken = append(e.woken, item.Seq) }))
	return e
}

func newMouth(t testing.TB) *sealer {
	t.Helper()
	key, _, err := derive(testKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wakeRecord(queue storage.QueueID, seq uint64) []byte {
	var b batch
	b.wake(queue, seq)
	return b.records
}

func TestGapsAreNoticed(t *testing.T) {
	queue, now := newQueue(), time.Now()
	e, other := newEar(t, queue), newMouth(t)
	say := func(seq uint64) []byte { return other.seal(wakeRecord(queue, seq), now) }
	e.receive(say(1), now)
	e.receive(say(2), now)
	if e.misses != 0 {
		t.Error("nothing was missed")
	}
	lost := say(3)
	e.receive(say(4), now)
	if e.misses != 1 {
		t.Errorf("missed %d times, want once", e.misses)
	}
	e.receive(lost, now) // late
	if want := []uint64{1, 2, 4}; !slices.Equal(e.woken, want) {
		t.Errorf("woken by %v, want %v", e.woken, want)
	}
	other.skip()
	e.receive(say(5), now)
	if e.misses != 2 {
		t.Error("a gap that was left on purpose does not show")
	}
	// One that has spoken before it was heard may have said anything.
	before := newMouth(t)
	before.seal(nil, now)
	e.receive(before.seal(nil, now), now)
	if e.misses != 3 {
		t.Error("an unknown node's past does not count")
	}
}

func TestOldEndingsAreNotFollowed(t *testing.T) {
	now := time.Now()
	e := newEar(t, newQueue())
	var b batch
	b.end(session.Ending{Account: identity.NewAccountID(), Reason: qpcv1.Goodbye_REASON_BANNED})
	for age, want := range map[time.Duration]int{0: 1, maxAge - time.Minute: 1, maxAge + time.Minute: 0, -maxAge - time.Minute: 0} {
		e.endeds = 0
		e.receive(newMouth(t).seal(b.records, now.Add(-age)), now)
		if e.endeds != want {
			t.Errorf("an ending %v old was followed %d times, want %d", age, e.endeds, want)
		}
	}
}

func TestSilentNodesAreForgotten(t *testing.T) {
	now := time.Now()
	e := newEar(t, newQueue())
	for range 10 {
		e.receive(newMouth(t).seal(nil, now), now)
	}
	now = now.Add(forgetAfter + time.Second)
	e.receive(newMouth(t).seal(nil, now), now)
	if len(e.senders) != 1 {
		t.Errorf("%d nodes are known", len(e.senders))
	}
}

func TestSizes(t *testing.T) {
	s, now := newMouth(t), time.Now()
	for records, want := range map[int]int{0: 256, 256 - overhead: 256, 257 - overhead: 512, maxRecords: 1 << 15} {
		if got := len(s.seal(make([]byte, records), now)); got != want {
			t.Errorf("%d bytes of records make %d bytes, want %d", records, got, want)
		}
	}
}

func TestTooMuchPendingLeavesAGap(t *testing.T) {
	var b batch
	for range maxPending + 1 {
		b.wake(storage.QueueID{}, 1)
	}
	if !b.lost || len(b.records) != maxPending*wakeSize {
		t.Errorf("lost %v, %d bytes", b.lost, len(b.records))
	}
	total := 0
	for rest := b.records; len(rest) > 0; {
		var first []byte
		if first, rest = cut(rest); len(first) == 0 || len(first) > maxRecords || len(first)%wakeSize != 0 {
			t.Fatalf("a message of %d bytes of records", len(first))
		}
		total += len(first)
	}
	if total != len(b.records) {
		t.Error("records were lost")
	}
}

// FuzzReceive gives a node messages whose seal is right, of any contents, and
// such as are not.
func FuzzReceive(f *testing.F) {
	queue := newQueue()
	var b batch
	b.wake(queue, 7)
	b.end(session.Ending{Device: identity.DeviceID{1}, Reason: qpcv1.Goodbye_REASON_REVOKED})
	f.Add(b.records, true)
	f.Add(b.records[:len(b.records)-1], true)
	f.Add([]byte{0, 0, 1}, true)
	f.Add([]byte{9}, true)
	f.Add(make([]byte, 300), false)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		e := newEar(t, queue)
		message, now := data, time.Now()
		if sealed && len(data) <= maxRecords {
			message = newMouth(t).seal(data, now)
		}
		e.receive(message, now)
		if !sealed && len(e.woken)+e.endeds+e.misses+len(e.senders) > 0 {
			t.Error("something unsealed was followed")
		}
		wakes, ends := 0, 0
		err := parse(data, func(storage.QueueID, uint64) { wakes++ }, func(session.Ending) { ends++ })
		if err != nil && wakes+ends > 0 {
			t.Error("half of a message was followed")
		}
		if sealed && err != nil && len(e.woken)+e.endeds > 0 {
			t.Error("half of a message was followed")
		}
	})
}
