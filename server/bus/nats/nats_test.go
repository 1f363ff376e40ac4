package nats

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/bus/nats/natstest"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for; it is no measure of anything.
const patience = 30 * time.Second

// node is a bus and what was heard on it.
type node struct {
	*Bus
	ended  chan session.Ending
	missed chan struct{}
}

func (n *node) Ended(e session.Ending) { n.ended <- e }

func (n *node) Missed() {
	select {
	case n.missed <- struct{}{}:
	default:
	}
}

var testKey = [32]byte{1, 2, 3}

func open(t testing.TB, url string, change ...func(*Options)) *node {
	t.Helper()
	n := &node{ended: make(chan session.Ending, 100), missed: make(chan struct{}, 1)}
	o := Options{
		Servers: url, Key: testKey, Listener: n, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		beat: 10 * time.Millisecond, echo: patience,
	}
	for _, c := range change {
		c(&o)
	}
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	n.Bus = b
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: in vain", what)
		}
	}
}

func newQueue() (q storage.QueueID) {
	rand.Read(q[:])
	return q
}

// subscribe collects the items of a queue.
func (n *node) subscribe(t testing.TB, queue storage.QueueID) <-chan storage.Item {
	items := make(chan storage.Item, 10_000)
	t.Cleanup(n.Subscribe(queue, func(item storage.Item) { items <- item }))
	return items
}

// acquaint waits until each node hears the other.
func acquaint(t testing.TB, a, b *node) {
	t.Helper()
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		queue := newQueue()
		items := pair[1].subscribe(t, queue)
		waitFor(t, "the nodes hear each other", func() bool {
			pair[0].Wake(storage.Appended{Queue: queue})
			return len(items) > 0
		})
	}
}

func appended(queue storage.QueueID, seq uint64) storage.Appended {
	return storage.Appended{Queue: queue, Item: storage.Item{Seq: seq, Sealed: []byte("for this process alone")}}
}

func TestWakeReachesBothNodes(t *testing.T) {
	url := natstest.Run(t).URL()
	a, b := open(t, url), open(t, url)
	acquaint(t, a, b)
	queue := newQueue()
	here, there, other := a.subscribe(t, queue), b.subscribe(t, queue), b.subscribe(t, newQueue())
	a.Wake(appended(queue, 7), appended(newQueue(), 3))
	if got := receive(t, here, "here"); got.Seq != 7 || string(got.Sealed) != "for this process alone" {
		t.Errorf("here: %+v", got)
	}
	if got := receive(t, there, "there"); got.Seq != 7 || got.Sealed != nil || got.Overflow {
		t.Errorf("there: %+v", got)
	}
	b.Wake(appended(queue, 8))
	if got := receive(t, here, "back"); got.Seq != 8 || got.Sealed != nil {
		t.Errorf("back: %+v", got)
	}
	if len(other) > 0 || len(here) > 0 {
		t.Error("somebody was woken for nothing")
	}
}

func TestManyRecipientsInFewMessages(t *testing.T) {
	url := natstest.Run(t).URL()
	a, b := open(t, url), open(t, url)
	acquaint(t, a, b)
	const recipients = 5000
	queue := newQueue()
	there := b.subscribe(t, queue)
	post := make([]storage.Appended, recipients)
	for i := range post {
		post[i] = appended(queue, uint64(i+1))
	}
	before := a.conn.Stats().OutMsgs
	a.Wake(post...)
	for i := range post {
		if got := receive(t, there, "a recipient"); got.Seq != uint64(i+1) {
			t.Fatalf("recipient %d got %+v", i, got)
		}
	}
	if n := a.conn.Stats().OutMsgs - before; n > 1000 {
		t.Errorf("%d messages for %d recipients", n, recipients)
	}
}

func TestEndingsReachTheOtherNode(t *testing.T) {
	url := natstest.Run(t).URL()
	a, b := open(t, url), open(t, url)
	acquaint(t, a, b)
	for _, e := range []session.Ending{
		{Account: identity.NewAccountID(), Reason: qpcv1.Goodbye_REASON_BANNED},
		{Device: identity.DeviceID{7}, Reason: qpcv1.Goodbye_REASON_REPLACED},
	} {
		a.Relay(e)
		if got := receive(t, b.ended, "there"); got != e {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
	if len(a.ended) > 0 {
		t.Error("a node told itself")
	}
}

func TestGoneAtTheStart(t *testing.T) {
	nats := natstest.New(t, nil)
	a, b := open(t, nats.URL()), open(t, nats.URL())
	if err := a.Health(); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("health: %v", err)
	}
	queue := newQueue()
	here, there := a.subscribe(t, queue), b.subscribe(t, queue)
	a.Wake(appended(queue, 1)) // nobody there hears it
	receive(t, here, "here, all the same")
	nats.Start()
	receive(t, b.missed, "that something was missed")
	waitFor(t, "health", func() bool { return a.Health() == nil && b.Health() == nil })
	acquaint(t, a, b)
	if len(there) > 0 {
		t.Error("what was said while NATS was gone came late")
	}
	a.Wake(appended(queue, 2))
	receive(t, there, "there, later")
}

func TestGoneInTheMiddle(t *testing.T) {
	nats := natstest.Run(t)
	a, b := open(t, nats.URL()), open(t, nats.URL())
	acquaint(t, a, b)
	nats.Stop()
	waitFor(t, "bad health", func() bool { return a.Health() != nil && b.Health() != nil })
	for range 2 {
		select {
		case <-b.missed:
		default:
		}
	}
	a.Wake(appended(newQueue(), 1))
	nats.Start()
	receive(t, a.missed, "that something was missed here")
	receive(t, b.missed, "that something was missed there")
	waitFor(t, "health", func() bool { return a.Health() == nil && b.Health() == nil })
	acquaint(t, a, b)
}

// A node that may listen but not speak, or is cut off in a way that shows in
// nothing else, does not hear itself.
func TestDeaf(t *testing.T) {
	nats := natstest.New(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "qpc", Password: "secret", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}}}}
	})
	nats.Start()
	url := strings.Replace(nats.URL(), "nats://", "nats://qpc:secret@", 1)
	a := open(t, url, func(o *Options) { o.echo = 50 * time.Millisecond })
	waitFor(t, "bad health", func() bool {
		err := a.Health()
		return err != nil && strings.Contains(err.Error(), "does not deliver: ") && strings.Contains(err.Error(), "ermissions")
	})
}

func TestWrongPasswordIsToldAndTriedAgain(t *testing.T) {
	nats := natstest.New(t, func(o *server.Options) { o.Username, o.Password = "qpc", "right" })
	nats.Start()
	a := open(t, strings.Replace(nats.URL(), "nats://", "nats://qpc:wrong-one@", 1))
	waitFor(t, "bad health", func() bool {
		err := a.Health()
		return err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization")
	})
	if err := a.Health(); strings.Contains(err.Error(), "wrong-one") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("health tells too much: %v", err)
	}
	if a.conn.IsClosed() {
		t.Error("it gave up")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no such credentials": {Servers: "nats://127.0.0.1:1", CredentialsFile: "/does/not/exist"},
		"no such authority":   {Servers: "nats://127.0.0.1:1", CAFile: "/does/not/exist"},
	} {
		if b, err := Open(o); err == nil {
			b.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheck(t *testing.T) {
	nats := natstest.New(t, func(o *server.Options) {
		deny := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}}
		o.Users = []*server.User{{Username: "qpc", Password: "right"}, {Username: "mute", Password: "right", Permissions: deny}}
	})
	as := func(user string) error {
		return Check(t.Context(), Options{Servers: strings.Replace(nats.URL(), "nats://", "nats://"+user+"@", 1)})
	}
	if err := as("qpc:right"); err == nil {
		t.Error("NATS does not run")
	}
	nats.Start()
	if err := as("qpc:right"); err != nil {
		t.Error(err)
	}
	for user, want := range map[string]string{"qpc:s3cr3t": "authorization", "mute:right": "permissions"} {
		if err := as(user); err == nil || !strings.Contains(strings.ToLower(err.Error()), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want %s", user, err, want)
		}
	}
}

// listener hears everything that crosses NATS.
func listen(t *testing.T, url string) (all func() []*nats.Msg, publish func(string, []byte)) {
	t.Helper()
	c, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var mu sync.Mutex
	var heard []*nats.Msg
	if _, err := c.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, m)
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() []*nats.Msg {
			mu.Lock()
			defer mu.Unlock()
			return heard
		}, func(subject string, data []byte) {
			if err := c.Publish(subject, data); err != nil {
				t.Error(err)
			}
			if err := c.Flush(); err != nil {
				t.Error(err)
			}
		}
}

// Those who run NATS see no id, nothing that two messages about one queue have
// in common, and sizes that are the same for a second without any news and for
// a post in a small group.
func TestNATSLearnsNothing(t *testing.T) {
	url := natstest.Run(t).URL()
	heard, _ := listen(t, url)
	a, b := open(t, url), open(t, url)
	acquaint(t, a, b)
	queue, account := newQueue(), identity.NewAccountID()
	there := b.subscribe(t, queue)
	for seq := range uint64(50) {
		a.Wake(appended(queue, seq+1))
		receive(t, there, "there")
	}
	a.Relay(session.Ending{Account: account, Reason: qpcv1.Goodbye_REASON_BANNED})
	receive(t, b.ended, "the ending")
	chunks := make(map[string]int)
	for _, m := range heard() {
		if bytes.Contains(m.Data, queue[:4]) || bytes.Contains(m.Data, account[:4]) || bytes.Contains(m.Data, []byte("for this process")) {
			t.Error("something is there to be read")
		}
		if len(m.Data) != minMessage {
			t.Errorf("a message of %d bytes", len(m.Data))
		}
		for i := headerSize; i+8 <= len(m.Data); i += 8 {
			if chunks[string(m.Data[i:i+8])]++; chunks[string(m.Data[i:i+8])] > 1 {
				t.Fatal("two messages have something in common")
			}
		}
	}
	if len(chunks) == 0 {
		t.Error("nothing was heard")
	}
}

// Nobody without the key makes a node do anything, nor by repeating what was
// said.
func TestForgedAndRepeatedMessages(t *testing.T) {
	url := natstest.Run(t).URL()
	heard, publish := listen(t, url)
	a, b := open(t, url), open(t, url)
	acquaint(t, a, b)
	a.Relay(session.Ending{Device: identity.DeviceID{1}, Reason: qpcv1.Goodbye_REASON_REVOKED})
	receive(t, b.ended, "the ending")
	said := heard()
	for _, m := range said {
		publish(b.subject, m.Data)
		for _, i := range []int{0, headerSize - 1, headerSize, len(m.Data) - 1} {
			forged := bytes.Clone(m.Data)
			forged[i] ^= 1
			publish(b.subject, forged)
		}
	}
	foreign, err := newSealer([32]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	var e batch
	e.end(session.Ending{Device: identity.DeviceID{2}, Reason: qpcv1.Goodbye_REASON_REVOKED})
	for _, m := range [][]byte{nil, {1}, make([]byte, minMessage), make([]byte, 1<<16), foreign.seal(e.records, time.Now())} {
		publish(b.subject, m)
	}
	acquaint(t, a, b) // everything before was taken in
	if len(b.ended) > 0 || len(a.ended) > 0 {
		t.Error("a session would have ended")
	}
}

// Servers with other keys share a NATS and do not hear each other.
func TestServersApart(t *testing.T) {
	url := natstest.Run(t).URL()
	a := open(t, url)
	b := open(t, url, func(o *Options) { o.Key = [32]byte{7} })
	if a.subject == b.subject {
		t.Error("they speak under one subject")
	}
	waitFor(t, "health", func() bool { return a.Health() == nil && b.Health() == nil })
}

func BenchmarkWake(b *testing.B) {
	url := natstest.Run(b).URL()
	one, other := open(b, url), open(b, url)
	acquaint(b, one, other)
	post := make([]storage.Appended, 1000)
	for i := range post {
		post[i] = storage.Appended{Queue: newQueue(), Item: storage.Item{Seq: 1}}
	}
	there := other.subscribe(b, post[999].Queue)
	for b.Loop() {
		one.Wake(post...)
		<-there
	}
}
