package server

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

func bundleOf(code *identity.RecoveryCode, p *person) *qpcv1.RecoveryBundle {
	return &qpcv1.RecoveryBundle{Verifier: code.Verifier(), Sealed: code.Seal(p.id, p.key)}
}

func (d *member) storeRequest(code *identity.RecoveryCode) *qpcv1.StoreBundleRequest {
	bundle := bundleOf(code, d.person)
	return &qpcv1.StoreBundleRequest{
		Bundle: bundle, Signature: d.key.SignRecoveryStore(d.person.id, d.exporter(), bundle.Verifier, bundle.Sealed),
	}
}

// storeCode gives the account a recovery code.
func (d *member) storeCode(f *fixture) *identity.RecoveryCode {
	f.t.Helper()
	code := identity.NewRecoveryCode()
	must[qpcv1.StoreBundleResponse](d.conn, d.storeRequest(code))
	return code
}

func (f *fixture) fetchBundle(c *conn, name string, code *identity.RecoveryCode) (*qpcv1.FetchBundleResponse, error) {
	f.t.Helper()
	exporter, err := c.Exporter()
	if err != nil {
		f.t.Fatal(err)
	}
	return call[qpcv1.FetchBundleResponse](c, &qpcv1.FetchBundleRequest{Name: name, Proof: code.Prove(name, exporter)})
}

// recovering is a recovery before its last step.
type recovering struct {
	conn   *conn
	person *person
	next   *identity.RecoveryCode
	finish *qpcv1.RecoverAccountFinishRequest
}

// beginRecovery does all but RecoverAccountFinish.
func (f *fixture) beginRecovery(name string, code *identity.RecoveryCode, password string) *recovering {
	f.t.Helper()
	c := f.dial()
	fetched, err := f.fetchBundle(c, name, code)
	if err != nil {
		f.t.Fatal(err)
	}
	p := &person{name: name, password: password, id: identity.AccountID(fetched.AccountId)}
	if p.key, err = code.Open(fetched.Sealed, p.id, fetched.AccountPublicKey); err != nil {
		f.t.Fatal(err)
	}
	state, request, err := passwords.StartRegistration([]byte(password))
	if err != nil {
		f.t.Fatal(err)
	}
	began := must[qpcv1.RecoverAccountStartResponse](c, &qpcv1.RecoverAccountStartRequest{OpaqueRequest: request})
	record, exportKey, err := state.Finish(began.OpaqueResponse, nil, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	sealed, err := p.key.Seal(exportKey)
	if err != nil {
		f.t.Fatal(err)
	}
	r := &recovering{conn: c, person: p, next: identity.NewRecoveryCode()}
	r.finish = &qpcv1.RecoverAccountFinishRequest{OpaqueRecord: record, SealedAccountKey: sealed, Bundle: bundleOf(r.next, p)}
	r.sign(f)
	return r
}

func (r *recovering) sign(f *fixture) {
	f.t.Helper()
	exporter, err := r.conn.Exporter()
	if err != nil {
		f.t.Fatal(err)
	}
	m := r.finish
	r.finish.Signature = r.person.key.SignRecovery(r.person.id, exporter, identity.RecoveredAccount{
		Record: m.OpaqueRecord, SealedKey: m.SealedAccountKey, Verifier: m.Bundle.GetVerifier(), Bundle: m.Bundle.GetSealed(),
	})
}

func (r *recovering) run() error {
	_, err := call[qpcv1.RecoverAccountFinishResponse](r.conn, r.finish)
	return err
}

func TestRecoverAccount(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	code := alice.storeCode(f)
	r := f.beginRecovery("alice", code, "another anvil entirely")
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if reason := alice.goodbye(); reason != qpcv1.Goodbye_REASON_PASSWORD_CHANGED {
		t.Errorf("goodbye %v", reason)
	}
	// The connection has proved the account, and the devices are still its.
	device := f.newDevice(r.person)
	must[qpcv1.EnrolDeviceResponse](r.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: device.cert.Raw})
	f.reconnect(device)
	f.reconnect(alice)
	if p := f.wantPassword("alice", "another anvil entirely", alice.password); !p.key.Public().Equal(alice.key.Public()) {
		t.Error("another account key")
	}
	_, err := f.fetchBundle(f.dial(), "alice", code)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED) // spent
	f.restart()
	if err := f.beginRecovery("alice", r.next, "a third one, later").run(); err != nil {
		t.Fatal(err)
	}
	f.wantPassword("alice", "a third one, later", "another anvil entirely")
}

func TestStoreBundleRefusals(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	code := alice.storeCode(f)
	next := identity.NewRecoveryCode()
	elsewhere := &member{person: alice.person, conn: f.dial()}
	for what, tc := range map[string]struct {
		req  *qpcv1.StoreBundleRequest
		want qpcv1.ErrorCode
	}{
		"nothing":             {&qpcv1.StoreBundleRequest{}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no signature":        {&qpcv1.StoreBundleRequest{Bundle: bundleOf(next, alice.person)}, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"other exporter":      {elsewhere.storeRequest(next), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"other account's":     {bob.storeRequest(next), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"short verifier":      {&qpcv1.StoreBundleRequest{Bundle: &qpcv1.RecoveryBundle{Verifier: random(31), Sealed: random(72)}}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"bundle of no length": {&qpcv1.StoreBundleRequest{Bundle: &qpcv1.RecoveryBundle{Verifier: random(32), Sealed: random(73)}}, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
	} {
		_, err := call[qpcv1.StoreBundleResponse](alice.conn, tc.req)
		if wire.CodeOf(err) != tc.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, sig := range [][]byte{nil, random(64), bob.key.SignRecoveryDeletion(alice.person.id, alice.exporter()), alice.key.SignRecoveryDeletion(alice.person.id, random(32))} {
		_, err := call[qpcv1.DeleteBundleResponse](alice.conn, &qpcv1.DeleteBundleRequest{Signature: sig})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF)
	}
	if _, err := f.fetchBundle(f.dial(), "alice", code); err != nil {
		t.Errorf("the code is gone: %v", err)
	}
	for range 2 {
		must[qpcv1.DeleteBundleResponse](alice.conn, &qpcv1.DeleteBundleRequest{Signature: alice.key.SignRecoveryDeletion(alice.person.id, alice.exporter())})
	}
	_, err := f.fetchBundle(f.dial(), "alice", code)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
}

// A wrong code, an account without one and an unknown name are one answer, up
// to the lock.
func TestRecoveryGuesses(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.register("bob") // has no code
	code := alice.storeCode(f)
	type answer struct {
		code    qpcv1.ErrorCode
		message string
		wait    bool
	}
	answers := map[string][]answer{}
	guess := func(name string) {
		t.Helper()
		_, err := f.fetchBundle(f.dial(), name, identity.NewRecoveryCode())
		code := wire.CodeOf(err)
		e := wantCode(t, err, code)
		if e.RetryAfter < 0 || e.RetryAfter > 24*time.Hour {
			t.Errorf("wait %v", e.RetryAfter)
		}
		answers[name] = append(answers[name], answer{code, e.Message, e.RetryAfter > 0})
	}
	names := []string{"alice", "bob", "nobody"}
	for n := range storage.RecoveryTries + 2 {
		if n == 5 {
			f.restart() // guesses are not forgotten
		}
		for _, name := range names {
			guess(name)
		}
	}
	for n := range storage.RecoveryTries + 2 {
		want := answer{qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED, answers["alice"][0].message, false}
		if n >= storage.RecoveryTries {
			want = answer{qpcv1.ErrorCode_ERROR_CODE_RECOVERY_LOCKED, answers["alice"][n].message, true}
		}
		for _, name := range names {
			if got := answers[name][n]; got != want {
				t.Errorf("guess %d of %s: got %+v, want %+v", n, name, got, want)
			}
		}
	}
	_, err := f.fetchBundle(f.dial(), "alice", code) // the right one, too
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_LOCKED)
	f.clock.advance(24 * time.Hour)
	for range storage.RecoveryTries + 3 { // right ones do not count
		if _, err := f.fetchBundle(f.dial(), "alice", code); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "x", "no name at all"} {
		_, err := f.fetchBundle(f.dial(), name, code)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
	}
	_, err = call[qpcv1.FetchBundleResponse](f.dial(), &qpcv1.FetchBundleRequest{Name: "alice", Proof: random(63)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
}

// Guesses at the same time are counted one by one.
func TestRecoveryGuessesAtOnce(t *testing.T) {
	f := start(t)
	f.register("alice").storeCode(f)
	var conns []*conn
	for range 4 {
		conns = append(conns, f.dial())
	}
	var judged, locked atomic.Int32
	var wg sync.WaitGroup
	for _, c := range conns {
		for range 8 {
			wg.Go(func() {
				switch _, err := f.fetchBundle(c, "alice", identity.NewRecoveryCode()); wire.CodeOf(err) {
				case qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED:
					judged.Add(1)
				case qpcv1.ErrorCode_ERROR_CODE_RECOVERY_LOCKED:
					locked.Add(1)
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if judged.Load() != storage.RecoveryTries || locked.Load() != 32-storage.RecoveryTries {
		t.Errorf("%d guesses judged, %d locked out", judged.Load(), locked.Load())
	}
}

func TestRecoverAccountRefusals(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	code := alice.storeCode(f)
	const next = "another anvil entirely"
	for what, tc := range map[string]struct {
		change func(r *recovering)
		want   qpcv1.ErrorCode
	}{
		"no signature":      {func(r *recovering) { r.finish.Signature = nil }, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"another's":         {func(r *recovering) { r.person = &person{id: r.person.id, key: bob.key}; r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"another record":    {func(r *recovering) { r.finish.OpaqueRecord = f.beginRecovery("alice", code, "x").finish.OpaqueRecord }, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"another bundle":    {func(r *recovering) { r.finish.Bundle = bundleOf(identity.NewRecoveryCode(), r.person) }, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"other connection":  {func(r *recovering) { own := r.conn; r.conn = f.dial(); r.sign(f); r.conn = own }, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF},
		"no bundle":         {func(r *recovering) { r.finish.Bundle = nil; r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"the same code":     {func(r *recovering) { r.finish.Bundle = bundleOf(code, r.person); r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"rubbish record":    {func(r *recovering) { r.finish.OpaqueRecord = bytes.Repeat([]byte{0xff}, opaque.RecordSize); r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"rubbish key":       {func(r *recovering) { r.finish.SealedAccountKey = random(5); r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"a connection more": {func(r *recovering) { r.conn = f.dial(); r.sign(f) }, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE},
		"too late":          {func(*recovering) { f.clock.advance(3 * time.Minute) }, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE},
	} {
		t.Run(what, func(t *testing.T) {
			r := f.beginRecovery("alice", code, next)
			good, conn := proto.CloneOf(r.finish), r.conn
			tc.change(r)
			wantCode(t, r.run(), tc.want)
			// A failure ends the exchange; the right one comes too late.
			if r.conn == conn {
				r.finish = good
				wantCode(t, r.run(), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
			}
		})
	}
	f.wantPassword("alice", alice.password, next)

	// Of two with one code, one wins; the other's code is spent.
	one, two := f.beginRecovery("alice", code, next), f.beginRecovery("alice", code, "a third one, later")
	if err := one.run(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, two.run(), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_CHANGED)
	f.wantPassword("alice", next, "a third one, later")
	wantCode(t, one.run(), qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION) // it has an account now
}
