package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

// passwordChange is a change between its halves.
type passwordChange struct {
	login  *opaque.ClientLogin
	next   *opaque.ClientRegistration
	finish *qpcv1.ChangePasswordFinishRequest
}

// beginPassword does ChangePasswordStart with what the client thinks is the
// present password. Where that is right, the second half is ready.
func (f *fixture) beginPassword(c *conn, p *person, present, next string) *passwordChange {
	f.t.Helper()
	x := &passwordChange{}
	var ke1, request []byte
	var err error
	if x.login, ke1, err = passwords.StartLogin([]byte(present)); err != nil {
		f.t.Fatal(err)
	}
	if x.next, request, err = passwords.StartRegistration([]byte(next)); err != nil {
		f.t.Fatal(err)
	}
	began := must[qpcv1.ChangePasswordStartResponse](c, &qpcv1.ChangePasswordStartRequest{Ke1: ke1, OpaqueRequest: request})
	record, exportKey, err := x.next.Finish(began.OpaqueResponse, nil, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	sealed, err := p.key.Seal(exportKey)
	if err != nil {
		f.t.Fatal(err)
	}
	x.finish = &qpcv1.ChangePasswordFinishRequest{Ke3: random(opaque.KE3Size), OpaqueRecord: record, SealedAccountKey: sealed}
	ke3, _, present64, err := x.login.Finish(began.Ke2, nil, nil)
	if err != nil {
		return x
	}
	x.finish.Ke3 = ke3
	if key, err := identity.OpenAccountKey(began.SealedAccountKey, present64, began.AccountPublicKey); err != nil || !key.Public().Equal(p.key.Public()) {
		f.t.Fatalf("the account key does not open: %v", err)
	}
	return x
}

func (f *fixture) finishPassword(c *conn, x *passwordChange) error {
	_, err := call[qpcv1.ChangePasswordFinishResponse](c, x.finish)
	return err
}

func (f *fixture) wantPassword(name, right string, wrong ...string) *person {
	f.t.Helper()
	p, err := f.tryLogin(f.dial(), name, right)
	if err != nil {
		f.t.Fatalf("%q does not log in: %v", right, err)
	}
	for _, w := range wrong {
		if _, err := f.tryLogin(f.dial(), name, w); !errors.Is(err, opaque.ErrAuthentication) {
			f.t.Errorf("%q logs in: %v", w, err)
		}
	}
	return p
}

func TestChangePassword(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	other := f.newDevice(f.wantPassword("alice", alice.password))
	c := f.dial()
	if _, err := f.tryLogin(c, "alice", alice.password); err != nil {
		t.Fatal(err)
	}
	must[qpcv1.EnrolDeviceResponse](c, &qpcv1.EnrolDeviceRequest{DeviceCertificate: other.cert.Raw})
	f.reconnect(other)

	if err := f.finishPassword(alice.conn, f.beginPassword(alice.conn, alice.person, alice.password, "another anvil entirely")); err != nil {
		t.Fatal(err)
	}
	// Everybody connects anew: who has only the old password cannot.
	for _, c := range []*conn{alice.conn, other.conn, c} {
		if reason := c.goodbye(); reason != qpcv1.Goodbye_REASON_PASSWORD_CHANGED {
			t.Errorf("goodbye %v", reason)
		}
	}
	f.reconnect(alice)
	f.reconnect(other)
	p := f.wantPassword("alice", "another anvil entirely", alice.password)
	if p.id != alice.person.id || !p.key.Public().Equal(alice.key.Public()) {
		t.Error("the new password opens another account")
	}
	f.restart()
	f.wantPassword("alice", "another anvil entirely", alice.password)
}

func TestChangePasswordRefusals(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	const next = "another anvil entirely"
	begin := func() *passwordChange { return f.beginPassword(alice.conn, alice.person, alice.password, next) }
	refuse := func(what string, err error, want qpcv1.ErrorCode) {
		t.Helper()
		t.Run(what, func(t *testing.T) {
			wantCode(t, err, want)
			f.wantPassword("alice", alice.password, next)
		})
	}
	refuse("no start", f.finishPassword(alice.conn, &passwordChange{finish: &qpcv1.ChangePasswordFinishRequest{}}), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	refuse("wrong password", f.finishPassword(alice.conn, f.beginPassword(alice.conn, alice.person, "not the password", next)), qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG)

	x := begin()
	damaged := proto.CloneOf(x.finish)
	damaged.Ke3[0] ^= 1
	refuse("damaged proof", f.finishPassword(alice.conn, &passwordChange{finish: damaged}), qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG)
	refuse("right proof after a wrong one", f.finishPassword(alice.conn, x), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)

	x = begin()
	second := &member{person: alice.person, private: alice.private, id: alice.id, cert: alice.cert}
	login := f.dial()
	if _, err := f.tryLogin(login, "alice", alice.password); err != nil {
		t.Fatal(err)
	}
	second.conn = login
	refuse("on another connection", f.finishPassword(second.conn, x), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	refuse("on another account's", f.finishPassword(bob.conn, x), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	f.beginPassword(login, alice.person, alice.password, next)
	refuse("proof of another connection's exchange", f.finishPassword(login, x), qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG)

	for what, change := range map[string]func(*qpcv1.ChangePasswordFinishRequest){
		"no record": func(m *qpcv1.ChangePasswordFinishRequest) { m.OpaqueRecord = nil },
		"damaged record": func(m *qpcv1.ChangePasswordFinishRequest) {
			m.OpaqueRecord = bytes.Repeat([]byte{0xff}, opaque.RecordSize)
		},
		"no key":           func(m *qpcv1.ChangePasswordFinishRequest) { m.SealedAccountKey = nil },
		"key too long":     func(m *qpcv1.ChangePasswordFinishRequest) { m.SealedAccountKey = random(61) },
		"key of no length": func(m *qpcv1.ChangePasswordFinishRequest) { m.SealedAccountKey = random(59) },
	} {
		x := begin()
		change(x.finish)
		refuse(what, f.finishPassword(alice.conn, x), qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
	x = begin()
	f.clock.advance(3 * time.Minute)
	refuse("too late", f.finishPassword(alice.conn, x), qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	for _, m := range []*qpcv1.ChangePasswordStartRequest{
		{}, {Ke1: random(96)}, {Ke1: bytes.Repeat([]byte{0xff}, 96), OpaqueRequest: bytes.Repeat([]byte{0xff}, 32)}, {Ke1: random(95), OpaqueRequest: random(32)},
	} {
		_, err := call[qpcv1.ChangePasswordStartResponse](alice.conn, m)
		refuse("malformed start", err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}

	// Of two that have begun, the second finds the account changed.
	x = begin()
	y := f.beginPassword(login, alice.person, alice.password, "a third one, later")
	if err := f.finishPassword(alice.conn, x); err != nil {
		t.Fatal(err)
	}
	if err := f.finishPassword(login, y); err == nil {
		t.Error("a change that is based on the old password was made")
	}
	f.wantPassword("alice", next, alice.password, "a third one, later")
	f.reconnect(alice)
	_, err := call[qpcv1.ChangePasswordFinishResponse](alice.conn, x.finish)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE) // a replay
}

// An exchange that was begun as one kind cannot be finished as another.
func TestExchangesOfOtherKinds(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	code := alice.storeCode(f)
	c := f.dial()
	state, ke1, err := passwords.StartLogin([]byte(alice.password))
	if err != nil {
		t.Fatal(err)
	}
	began := must[qpcv1.LoginStartResponse](c, &qpcv1.LoginStartRequest{Name: "alice", Ke1: ke1})
	ke3, _, _, err := state.Finish(began.Ke2, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = call[qpcv1.RecoverAccountStartResponse](c, &qpcv1.RecoverAccountStartRequest{OpaqueRequest: random(32)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	_, err = call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: ke3})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE) // the wrong kind has used it up

	if _, err := f.fetchBundle(c, "alice", code); err != nil {
		t.Fatal(err)
	}
	_, err = call[qpcv1.RecoverAccountFinishResponse](c, &qpcv1.RecoverAccountFinishRequest{})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	if _, err := f.fetchBundle(c, "alice", code); err != nil {
		t.Fatal(err)
	}
	_, err = call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: ke3})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	_, err = call[qpcv1.RecoverAccountStartResponse](c, &qpcv1.RecoverAccountStartRequest{OpaqueRequest: random(32)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
}

func TestAccountVault(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	put := func(version uint64, sealed []byte) error {
		_, err := call[qpcv1.PutVaultResponse](alice.conn, &qpcv1.PutVaultRequest{Version: version, Sealed: sealed})
		return err
	}
	if got := must[qpcv1.GetVaultResponse](alice.conn, &qpcv1.GetVaultRequest{}); got.Version != 0 || len(got.Sealed) != 0 {
		t.Errorf("a vault before the first: %v", got.Version)
	}
	first, second := random(64<<10), random(100)
	for range 2 {
		if err := put(1, first); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []uint64{1, 3, 1 << 61} {
		if e := wantCode(t, put(version, second), qpcv1.ErrorCode_ERROR_CODE_VAULT_CONFLICT); e.Vault != 1 {
			t.Errorf("conflict with version %d", e.Vault)
		}
	}
	for _, tc := range []struct {
		version uint64
		sealed  []byte
	}{{2, nil}, {0, second}, {2, random(64<<10 + 1)}, {1<<62 + 1, second}, {1<<64 - 1, second}} {
		wantCode(t, put(tc.version, tc.sealed), qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
	if err := put(2, second); err != nil {
		t.Fatal(err)
	}
	f.restart()
	f.reconnect(alice)
	for known, want := range map[uint64][]byte{0: second, 1: second, 2: nil, 7: second} {
		if got := must[qpcv1.GetVaultResponse](alice.conn, &qpcv1.GetVaultRequest{KnownVersion: known}); got.Version != 2 || !bytes.Equal(got.Sealed, want) {
			t.Errorf("known %d: version %d with %d bytes", known, got.Version, len(got.Sealed))
		}
	}
	f.reconnect(bob)
	if got := must[qpcv1.GetVaultResponse](bob.conn, &qpcv1.GetVaultRequest{}); got.Version != 0 || len(got.Sealed) != 0 {
		t.Error("another account's vault")
	}
}

func (f *fixture) deletion(c *conn, p *person) *qpcv1.DeleteAccountRequest {
	f.t.Helper()
	exporter, err := c.Exporter()
	if err != nil {
		f.t.Fatal(err)
	}
	return &qpcv1.DeleteAccountRequest{Signature: p.key.SignDeletion(p.id, exporter)}
}

func TestDeleteAccountRefusals(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice"), f.register("bob")
	elsewhere := f.dial()
	for what, req := range map[string]*qpcv1.DeleteAccountRequest{
		"no signature":                  {},
		"rubbish":                       {Signature: random(64)},
		"another connection's exporter": f.deletion(elsewhere, alice.person),
		"another account's signature":   f.deletion(alice.conn, bob.person),
		"a signature of the device":     {Signature: identity.SignDeviceAuth(alice.private, alice.person.id, alice.id, random(32))},
		"what was signed to end a code": {Signature: alice.key.SignRecoveryDeletion(alice.person.id, alice.exporter())},
	} {
		_, err := call[qpcv1.DeleteAccountResponse](alice.conn, req)
		if err == nil {
			t.Fatalf("%s: deleted", what)
		}
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF)
	}
	alice.subscribe(0)
	f.wantPassword("alice", alice.password)
}

// The last admin of others stays, and is told before anything is changed.
func TestDeleteLastAdmin(t *testing.T) {
	f := start(t)
	admin := f.operator("admin", storage.RoleAdmin)
	check := func(d *member) error {
		req := f.deletion(d.conn, d.person)
		req.OnlyCheck = true
		_, err := call[qpcv1.DeleteAccountResponse](d.conn, req)
		return err
	}
	if err := check(admin); err != nil {
		t.Errorf("the only account: %v", err)
	}
	bob := f.register("bob")
	wantCode(t, check(admin), qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN)
	_, err := call[qpcv1.DeleteAccountResponse](admin.conn, f.deletion(admin.conn, admin.person))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN)
	_, err = call[qpcv1.DeleteAccountResponse](admin.conn, &qpcv1.DeleteAccountRequest{OnlyCheck: true})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF)
	admin.subscribe(0)
	f.setRole("bob", storage.RoleAdmin)
	if err := check(admin); err != nil {
		t.Errorf("one of two: %v", err)
	}
	admin.subscribe(0) // asking has deleted nothing
	must[qpcv1.DeleteAccountResponse](admin.conn, f.deletion(admin.conn, admin.person))
	bob.subscribe(0)
}

func (d *member) exporter() []byte {
	d.t.Helper()
	exporter, err := d.Exporter()
	if err != nil {
		d.t.Fatal(err)
	}
	return exporter
}

// A deleted account leaves nothing in the files that names it, and its name to
// nobody.
func TestDeleteAccountLeavesNothing(t *testing.T) {
	f := start(t)
	alice, bob := f.register("alice-to-forget"), f.register("bob-to-keep")
	second := f.newDevice(f.wantPassword(alice.name, alice.password))
	login := f.dial()
	if _, err := f.tryLogin(login, alice.name, alice.password); err != nil {
		t.Fatal(err)
	}
	must[qpcv1.EnrolDeviceResponse](login, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	f.reconnect(second)
	hybrid, single, last := alice.uploadHybrid(), alice.leaf().keyPackage(t), alice.leaf()
	last.LastResort = true
	must[qpcv1.UploadKeyPackagesResponse](alice.conn, &qpcv1.UploadKeyPackagesRequest{KeyPackages: [][]byte{single}, LastResort: last.keyPackage(t)})
	room := newRoom(f, alice, bob)
	room.post([]byte("for both"))
	code := alice.storeCode(f)
	vault := random(500)
	must[qpcv1.PutVaultResponse](alice.conn, &qpcv1.PutVaultRequest{Version: 1, Sealed: vault})
	account, err := f.store.Account(t.Context(), alice.person.id)
	if err != nil {
		t.Fatal(err)
	}
	hidden := map[string][]byte{
		"the name": []byte(alice.name), "the account id": alice.person.id[:], "the account key": alice.key.Public(),
		"the record": account.Record, "the sealed key": account.SealedKey, "the vault": vault,
		"a key package": single[100:132], "the hybrid key": hybrid[50:82], "the recovery verifier": code.Verifier(),
	}
	for _, d := range []*member{alice, second} {
		stored, err := f.store.Device(t.Context(), d.person.id, d.id)
		if err != nil {
			t.Fatal(err)
		}
		hidden["device "+d.id.String()], hidden["certificate of "+d.id.String()], hidden["queue of "+d.id.String()] = d.id[:], d.cert.Raw, stored.Queue[:]
	}
	for what, b := range hidden {
		if !f.onDisk(b) {
			t.Fatalf("the search does not even find %s before", what)
		}
	}

	must[qpcv1.DeleteAccountResponse](alice.conn, f.deletion(alice.conn, alice.person))
	for _, c := range []*conn{alice.conn, second.conn, login} {
		if reason := c.goodbye(); reason != qpcv1.Goodbye_REASON_DELETED {
			t.Errorf("goodbye %v", reason)
		}
	}
	wantCode(t, alice.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)
	if _, err := f.tryLogin(f.dial(), alice.name, alice.password); !errors.Is(err, opaque.ErrAuthentication) {
		t.Errorf("login: %v", err)
	}
	_, err = f.fetchBundle(f.dial(), alice.name, code)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
	for _, name := range []string{alice.name, "ALICE-to-forget"} {
		_, err = f.tryRegister(name, goodPassword, nil)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	}
	room.post([]byte("for bob alone"))

	f.shutdown() // checkpoints the WAL
	for what, b := range hidden {
		if f.onDisk(b) {
			t.Errorf("%s is still in the files", what)
		}
	}
	f.open()
	_, err = f.tryRegister(alice.name, goodPassword, nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	f.reconnect(bob)
	bob.subscribe(0)
	bob.next()
	bob.next()
}

// onDisk tells whether the database or its WAL has these bytes.
func (f *fixture) onDisk(b []byte) bool {
	f.t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(filepath.Join(f.cfg.DataDir, secrets.DatabaseName+suffix))
		if err != nil && !os.IsNotExist(err) {
			f.t.Fatal(err)
		}
		if bytes.Contains(raw, b) {
			return true
		}
	}
	return false
}

// A name that was deleted cannot be taken by who has begun to register it
// before.
func TestDeletedNameInTheMiddleOfARegistration(t *testing.T) {
	f := start(t)
	first, err := f.beginRegistration(f.dial(), "alice", goodPassword, nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := f.register("alice")
	must[qpcv1.DeleteAccountResponse](alice.conn, f.deletion(alice.conn, alice.person))
	_, err = call[qpcv1.RegisterFinishResponse](first.device.conn, first.finish)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
}

// Who may not register learns of no name that was deleted or banned.
func TestHiddenNamesAreHiddenFromStrangers(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	must[qpcv1.DeleteAccountResponse](alice.conn, f.deletion(alice.conn, alice.person))
	if err := mod.ban(mallory); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[config.Registration]qpcv1.ErrorCode{
		config.RegistrationInvite: qpcv1.ErrorCode_ERROR_CODE_INVITE_REQUIRED,
		config.RegistrationClosed: qpcv1.ErrorCode_ERROR_CODE_REGISTRATION_CLOSED,
	} {
		f.cfg.Registration = mode
		f.restart()
		for _, name := range []string{"alice", "mallory", "nobody"} {
			_, err := f.tryRegister(name, goodPassword, nil)
			wantCode(t, err, want)
		}
	}
	f.cfg.Registration = config.RegistrationInvite
	f.restart()
	for _, name := range []string{"alice", "mallory"} {
		_, err := f.tryRegister(name, goodPassword, f.invite(1, time.Hour))
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	}
}
