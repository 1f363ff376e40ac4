package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/blob"
	"quicprochat/server/config"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		serveUntilKilled(dir)
	}
	if os.Getenv(nodeVariable) != "" {
		serveNode()
	}
	goleak.VerifyTestMain(withPostgres{m})
}

// patience bounds what a test waits for; it is no measure of anything.
const patience = 30 * time.Second

// passwords is the protocol's OPAQUE with stretching that takes no time.
var passwords = opaque.Config{Context: opaque.DefaultConfig().Context, KSF: opaque.Argon2id(1, 8, 1)}

// clock is the server's, set by the test.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// logBuffer keeps a log for reading while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text.Bytes())
}

// fixture is a server with everything around it.
type fixture struct {
	*Server
	t     testing.TB
	cfg   Config
	clock *clock
	logs  *logBuffer
	// objects, where set, hold the blobs.
	objects blob.Objects
	// link, where set, is dialled instead of the Server's.
	link func() string
	// options are further ones.
	options []Option
}

// testConfig is open to everybody and limits nothing that a test does.
func testConfig(t testing.TB) Config {
	return openConfig(t.TempDir())
}

func openConfig(dir string) Config {
	cfg := DefaultConfig()
	cfg.DataDir = dir
	cfg.Listen, cfg.PublicHost = "127.0.0.1:0", "127.0.0.1"
	cfg.Registration = config.RegistrationOpen
	fast := config.Rate{PerMinute: 1e9, Burst: 1e9}
	cfg.Rates = config.Rates{Login: fast, Auth: fast, Lookup: fast, Post: fast, Own: fast, Blob: fast}
	return cfg
}

func start(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	return startWith(t, nil, change...)
}

// startWith starts a server whose blobs are held by objects.
func startWith(t testing.TB, objects blob.Objects, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, cfg: testConfig(t), clock: &clock{}, logs: &logBuffer{}, objects: objects}
	for _, c := range change {
		c(&f.cfg)
	}
	f.open()
	t.Cleanup(f.shutdown)
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	log := slog.New(slog.NewTextHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	options := slices.Concat([]Option{WithClock(f.clock.now), impatient}, shared(), f.options)
	if f.objects != nil {
		options = append(options, WithObjects(f.objects))
	}
	s, err := New(f.cfg, log, options...)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.Server = s
}

func (f *fixture) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Shutdown(ctx); err != nil {
		f.t.Errorf("shutdown: %v", err)
	}
}

func (f *fixture) restart() {
	f.t.Helper()
	f.shutdown()
	f.open()
}

// invite returns the token of a fresh invite.
func (f *fixture) invite(uses int, ttl time.Duration) []byte {
	f.t.Helper()
	text, err := f.CreateInvite(f.t.Context(), uses, ttl)
	if err != nil {
		f.t.Fatal(err)
	}
	link, err := wire.ParseLink(text)
	if err != nil {
		f.t.Fatal(err)
	}
	return link.Token
}

// conn is a client's connection with what was pushed on it.
type conn struct {
	*wire.Conn
	t      testing.TB
	pushed chan *qpcv1.QueueItem
}

func (f *fixture) dial() *conn {
	f.t.Helper()
	if f.link != nil {
		return dialLink(f.t, f.link())
	}
	return dialLink(f.t, f.Link(nil))
}

func dialLink(t testing.TB, text string) *conn {
	t.Helper()
	return dialFor(t, text, 100_000)
}

// dialFor connects for so many pushes that nobody has taken yet.
func dialFor(t testing.TB, text string, pushes int) *conn {
	t.Helper()
	link, err := wire.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := &conn{t: t, pushed: make(chan *qpcv1.QueueItem, pushes)}
	c.Conn, err = wire.Dial(ctx, link, wire.DialOptions{OnPush: c.onPush})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-c.Done()
	})
	return c
}

func (c *conn) onPush(event qpcv1.EventType, payload []byte) {
	if event != qpcv1.EventType_EVENT_TYPE_QUEUE_ITEMS {
		return
	}
	var items qpcv1.QueueItems
	if err := proto.Unmarshal(payload, &items); err != nil {
		c.t.Errorf("push: %v", err)
	}
	for _, item := range items.Items {
		c.pushed <- item
	}
}

// next waits for the next pushed item.
func (c *conn) next() *qpcv1.QueueItem {
	c.t.Helper()
	select {
	case item := <-c.pushed:
		return item
	case <-c.Done():
		c.t.Fatalf("connection ended: %v", c.Err())
	case <-time.After(patience):
		c.t.Fatal("nothing was pushed")
	}
	return nil
}

// recorded are the names of the methods that tests have called, for those that
// want to know: testing.TB → *sync.Map.
var recorded sync.Map

// recordCalls keeps the names of the methods that a test calls from now on.
func recordCalls(t testing.TB) *sync.Map {
	calls := &sync.Map{}
	recorded.Store(t, calls)
	t.Cleanup(func() { recorded.Delete(t) })
	return calls
}

// call makes a call that may fail.
func call[Resp any, P interface {
	*Resp
	proto.Message
}](c *conn, req proto.Message) (P, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if calls, ok := recorded.Load(c.t); ok {
		if m, ok := wire.MethodOf(req); ok {
			calls.(*sync.Map).Store(m.Name, true)
		}
	}
	resp := P(new(Resp))
	return resp, c.Call(ctx, req, resp)
}

// must makes a call that works.
func must[Resp any, P interface {
	*Resp
	proto.Message
}](c *conn, req proto.Message) P {
	c.t.Helper()
	resp, err := call[Resp, P](c, req)
	if err != nil {
		c.t.Fatalf("%T: %v", req, err)
	}
	return resp
}

// code strips an ErrorCode's name for reading.
func wantCode(t testing.TB, err error, want qpcv1.ErrorCode) *wire.Error {
	t.Helper()
	if got := wire.CodeOf(err); got != want {
		t.Fatalf("got %v, want %v", err, want)
	}
	e, _ := errors.AsType[*wire.Error](err)
	if e == nil || e.Message == "" {
		t.Fatalf("%v has no sentence", want)
	}
	return e
}

// person is an account.
type person struct {
	name, password string
	id             identity.AccountID
	key            *identity.AccountKey
}

// member is one of a person's, with its connection.
type member struct {
	*person
	*conn
	private ed25519.PrivateKey
	id      identity.DeviceID
	cert    *identity.Certificate
}

// newPerson makes somebody whom the server does not know.
func (f *fixture) newPerson(name string) *person {
	f.t.Helper()
	key, err := identity.NewAccountKey()
	if err != nil {
		f.t.Fatal(err)
	}
	return &person{name: name, id: identity.AccountID(random(16)), key: key}
}

// newDevice makes a device with a certificate that is not enrolled.
func (f *fixture) newDevice(p *person) *member {
	f.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	now := f.clock.now()
	cert, err := p.key.IssueCertificate(p.id, private.Public().(ed25519.PublicKey), "device", now.Add(-time.Hour), now.Add(365*24*time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
	return &member{person: p, private: private, id: cert.DeviceID(), cert: cert}
}

// registration is a registration between its halves.
type registration struct {
	device *member
	finish *qpcv1.RegisterFinishRequest
}

// beginRegistration does RegisterStart and prepares RegisterFinish.
func (f *fixture) beginRegistration(c *conn, name, password string, token []byte) (*registration, error) {
	f.t.Helper()
	state, request, err := passwords.StartRegistration([]byte(password))
	if err != nil {
		f.t.Fatal(err)
	}
	began, err := call[qpcv1.RegisterStartResponse](c, &qpcv1.RegisterStartRequest{Name: name, OpaqueRequest: request, InviteToken: token})
	if err != nil {
		return nil, err
	}
	record, exportKey, err := state.Finish(began.OpaqueResponse, nil, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &person{name: name, password: password, id: identity.AccountID(began.AccountId)}
	if p.key, err = identity.NewAccountKey(); err != nil {
		f.t.Fatal(err)
	}
	sealed, err := p.key.Seal(exportKey)
	if err != nil {
		f.t.Fatal(err)
	}
	d := f.newDevice(p)
	d.conn = c
	return &registration{d, &qpcv1.RegisterFinishRequest{
		OpaqueRecord: record, AccountPublicKey: p.key.Public(), SealedAccountKey: sealed, DeviceCertificate: d.cert.Raw,
	}}, nil
}

func (f *fixture) tryRegister(name, password string, token []byte) (*member, error) {
	f.t.Helper()
	r, err := f.beginRegistration(f.dial(), name, password, token)
	if err != nil {
		return nil, err
	}
	_, err = call[qpcv1.RegisterFinishResponse](r.device.conn, r.finish)
	return r.device, err
}

// register makes an account and returns its first device, connected.
func (f *fixture) register(name string) *member {
	f.t.Helper()
	d, err := f.tryRegister(name, "correct horse "+name, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

// tryLogin proves a password on c and returns the account with its key.
func (f *fixture) tryLogin(c *conn, name, password string) (*person, error) {
	f.t.Helper()
	state, ke1, err := passwords.StartLogin([]byte(password))
	if err != nil {
		f.t.Fatal(err)
	}
	began, err := call[qpcv1.LoginStartResponse](c, &qpcv1.LoginStartRequest{Name: name, Ke1: ke1})
	if err != nil {
		return nil, err
	}
	ke3, _, exportKey, err := state.Finish(began.Ke2, nil, nil)
	if err != nil {
		return nil, err
	}
	proved, err := call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: ke3})
	if err != nil {
		return nil, err
	}
	p := &person{name: name, password: password, id: identity.AccountID(began.AccountId)}
	p.key, err = identity.OpenAccountKey(proved.SealedAccountKey, exportKey, proved.AccountPublicKey)
	return p, err
}

// authenticate proves the device on a connection.
func (d *member) authenticate(c *conn) error {
	d.t.Helper()
	exporter, err := c.Exporter()
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = call[qpcv1.AuthenticateResponse](c, &qpcv1.AuthenticateRequest{
		AccountId: d.person.id[:], DeviceId: d.id[:], Signature: identity.SignDeviceAuth(d.private, d.person.id, d.id, exporter),
	})
	return err
}

// reconnect gives the device a new, authenticated connection.
func (f *fixture) reconnect(d *member) {
	f.t.Helper()
	d.conn = f.dial()
	if err := d.authenticate(d.conn); err != nil {
		f.t.Fatal(err)
	}
}

// subscribe starts pushes after a seq.
func (d *member) subscribe(after uint64) uint64 {
	d.t.Helper()
	return must[qpcv1.SubscribeResponse](d.conn, &qpcv1.SubscribeRequest{AfterSeq: after}).LastSeq
}

// address makes a fresh address of the device's queue.
func (d *member) address() []byte {
	d.t.Helper()
	return must[qpcv1.NewAddressResponse](d.conn, &qpcv1.NewAddressRequest{Count: 1}).Addresses[0]
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
