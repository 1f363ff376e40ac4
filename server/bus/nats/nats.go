// Package nats is the bus between nodes, over NATS.
//
// Every node hears what every other one says, and looks up by itself whether it
// concerns anybody here: nodes are few, a look-up takes a fraction of a
// microsecond, and nobody has to know who is connected where. What a node has
// to say while a message is on its way goes out together in the next one.
//
// NATS and those who run it see which node speaks when, and a size in powers of
// two. Messages are sealed under a key that the nodes of a server share, so that
// nobody else reads, makes or changes one.
//
// NATS may lose messages, and may be gone. Each node counts its messages and
// says something every second, so that the others notice a gap, and hears
// itself, so that it notices to be cut off. Then [bus.Listener.Missed] is
// called, and the store tells the rest.
package nats

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"quicprochat/server/bus"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

const (
	// beatInterval is how often a node says something in any case, and
	// echoTime how long it may not hear itself.
	beatInterval = time.Second
	echoTime     = 5 * time.Second
	// maxPending bounds what waits to be told, in records.
	maxPending = 1 << 17
)

// Options are what a Bus is made of.
type Options struct {
	// Servers are one or more URLs, separated by commas.
	Servers string
	// CredentialsFile is a .creds file of NATS; empty for none.
	CredentialsFile string
	// CAFile holds the certificates of those who vouch for the servers; empty
	// for the system's.
	CAFile string
	// Key is shared by the nodes of a server and known to nobody else.
	Key [32]byte
	// Listener hears what concerns the node as a whole.
	Listener bus.Listener
	Log      *slog.Logger

	// for tests
	beat, echo time.Duration
}

// Bus implements bus.Bus.
type Bus struct {
	local    *bus.Local
	listener bus.Listener
	log      *slog.Logger
	conn     *nats.Conn
	subject  string
	key      [32]byte
	echoTime time.Duration

	out     *sealer
	kick    chan struct{}
	stop    chan struct{}
	running sync.WaitGroup

	echo      atomic.Int64 // when it last heard itself, in nanoseconds since begun
	begun     time.Time
	lastError atomic.Pointer[string]

	mu      sync.Mutex
	pending batch

	senders map[senderID]*opener // of the receiving goroutine
}

var _ bus.Bus = (*Bus)(nil)

// Open makes a Bus. It does not wait for NATS, which may come later, and tells
// by an error only what cannot become right by itself: a URL, or a file.
func Open(o Options) (*Bus, error) {
	b, err := newBus(o)
	if err != nil {
		return nil, err
	}
	settings, err := connectOptions(o)
	if err != nil {
		return nil, err
	}
	settings = append(settings,
		nats.ConnectHandler(b.connected), nats.ReconnectHandler(b.connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.noteError(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.noteError(err) }),
		nats.ErrorHandler(b.failed),
	)
	if b.conn, err = nats.Connect(o.Servers, settings...); err != nil {
		return nil, fmt.Errorf("bus: %w", withoutAddress(err))
	}
	if _, err := b.conn.Subscribe(b.subject, func(m *nats.Msg) { b.receive(m.Data, time.Now()) }); err != nil {
		b.conn.Close()
		return nil, fmt.Errorf("bus: %w", withoutAddress(err))
	}
	b.running.Go(func() { b.run(o) })
	return b, nil
}

func newBus(o Options) (*Bus, error) {
	key, subject, err := derive(o.Key)
	if err != nil {
		return nil, err
	}
	out, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	return &Bus{
		local: bus.NewLocal(), listener: o.Listener, log: o.Log, subject: subject, key: key,
		echoTime: orDefault(o.echo, echoTime),
		out:      out, kick: make(chan struct{}, 1), stop: make(chan struct{}),
		begun: time.Now(), senders: make(map[senderID]*opener),
	}, nil
}

func orDefault(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

// connectOptions are what a connection needs besides what is called on it.
func connectOptions(o Options) ([]nats.Option, error) {
	settings := []nats.Option{
		nats.Name("qpc-server"),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectJitter(500*time.Millisecond, 500*time.Millisecond),
		// what was said while NATS was gone is of no use when it is back
		nats.ReconnectBufSize(-1),
		nats.Timeout(3 * time.Second), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(5 * time.Second), nats.ReconnectOnFlusherError(),
	}
	if o.CAFile != "" {
		if _, err := os.Stat(o.CAFile); err != nil {
			return nil, fmt.Errorf("bus: ca_file: %w", err)
		}
		settings = append(settings, nats.RootCAs(o.CAFile))
	}
	if o.CredentialsFile != "" {
		if _, err := os.Stat(o.CredentialsFile); err != nil {
			return nil, fmt.Errorf("bus: credentials_file: %w", err)
		}
		settings = append(settings, nats.UserCredentials(o.CredentialsFile))
	}
	return settings, nil
}

// Wake implements bus.Bus.
func (b *Bus) Wake(appended ...storage.Appended) {
	b.local.Wake(appended...)
	b.mu.Lock()
	for _, a := range appended {
		b.pending.wake(a.Queue, a.Item.Seq)
	}
	b.mu.Unlock()
	b.send()
}

// Relay implements bus.Bus.
func (b *Bus) Relay(e session.Ending) {
	b.mu.Lock()
	b.pending.end(e)
	b.mu.Unlock()
	b.send()
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(queue storage.QueueID, wake func(storage.Item)) (cancel func()) {
	return b.local.Subscribe(queue, wake)
}

// Close implements bus.Bus.
func (b *Bus) Close() error {
	close(b.stop)
	b.running.Wait()
	b.conn.Close()
	return nil
}

// ErrGone: NATS cannot be reached, or does not deliver what it is given.
var ErrGone = errors.New("the bus (NATS) does not work: messages reach clients of other servers some seconds late")
