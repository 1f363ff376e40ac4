package server

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/opaque"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
)

const goodPassword = "correct horse battery"

func TestRegisterAndLogin(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	// The first device can do its things at once.
	alice.subscribe(0)

	got, err := f.tryLogin(f.dial(), "alice", alice.password)
	if err != nil {
		t.Fatal(err)
	}
	if got.id != alice.person.id || !bytes.Equal(got.key.Public(), alice.key.Public()) {
		t.Error("the login gives another account")
	}
}

func TestNamesAreOneInAnyCase(t *testing.T) {
	f := start(t)
	d, err := f.tryRegister("Alice", goodPassword, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.tryLogin(f.dial(), "aLICE", goodPassword); err != nil || got.id != d.person.id {
		t.Errorf("login: %v", err)
	}
	_, err = f.tryRegister("ALICE", goodPassword, nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
	resolved := must[qpcv1.ResolveUserResponse](f.dial(), &qpcv1.ResolveUserRequest{Name: "ALICE"})
	if !bytes.Equal(resolved.AccountId, d.person.id[:]) {
		t.Error("another account")
	}
	account := must[qpcv1.ResolveAccountResponse](f.dial(), &qpcv1.ResolveAccountRequest{AccountId: d.person.id[:]})
	if account.Name != "alice" || !bytes.Equal(account.AccountPublicKey, d.key.Public()) {
		t.Errorf("got %q", account.Name)
	}
}

func TestRegisterNameInvalid(t *testing.T) {
	f := start(t)
	for _, name := range []string{"", "a", ".a", "a.", "a b", "ä-ö", "a\x00b", "averyveryverylongnamewithmorethan32"} {
		_, err := f.tryRegister(name, goodPassword, nil)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_INVALID)
	}
}

// loginAnswer is all that a client sees of a login that fails.
type loginAnswer struct {
	account []byte
	length  int
	code    qpcv1.ErrorCode
	message string
}

// failLogin goes through a login to the end with whatever the server says.
func (f *fixture) failLogin(name string) loginAnswer {
	f.t.Helper()
	c := f.dial()
	state, ke1, err := passwords.StartLogin([]byte("wrong password"))
	if err != nil {
		f.t.Fatal(err)
	}
	began := must[qpcv1.LoginStartResponse](c, &qpcv1.LoginStartRequest{Name: name, Ke1: ke1})
	if _, _, _, err := state.Finish(began.Ke2, nil, nil); !errors.Is(err, opaque.ErrAuthentication) {
		f.t.Fatalf("client: %v", err)
	}
	// A guesser sends something all the same.
	_, err = call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: random(opaque.KE3Size)})
	e := wantCode(f.t, err, qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED)
	return loginAnswer{began.AccountId, proto.Size(began), e.Code, e.Message}
}

func TestUnknownUserLooksLikeWrongPassword(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	known, again := f.failLogin("alice"), f.failLogin("alice")
	if !bytes.Equal(known.account, alice.person.id[:]) || !bytes.Equal(again.account, known.account) {
		t.Error("the known account's id is not stable")
	}
	seen := [][]byte{known.account}
	for _, name := range []string{"bob", "carol", "x", "", "no such name at all", "ALICE2"} {
		unknown, again := f.failLogin(name), f.failLogin(name)
		if unknown.length != known.length || unknown.code != known.code || unknown.message != known.message {
			t.Errorf("%q: got %+v, want %+v", name, unknown, known)
		}
		if !bytes.Equal(unknown.account, again.account) {
			t.Errorf("%q: the account id changes between tries", name)
		}
		if slices.ContainsFunc(seen, func(b []byte) bool { return bytes.Equal(b, unknown.account) }) {
			t.Errorf("%q shares its account id", name)
		}
		seen = append(seen, unknown.account)
	}
	f.restart()
	if after := f.failLogin("bob"); !bytes.Equal(after.account, seen[1]) {
		t.Error("the unknown account's id changes with a restart")
	}
}

func TestInvites(t *testing.T) {
	f := start(t, func(c *Config) { c.Registration = config.RegistrationInvite })
	_, err := f.tryRegister("alice", goodPassword, nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_REQUIRED)
	_, err = f.tryRegister("alice", goodPassword, random(16))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID)

	once := f.invite(1, time.Hour)
	if _, err := f.tryRegister("alice", goodPassword, once); err != nil {
		t.Fatal(err)
	}
	_, err = f.tryRegister("bob", goodPassword, once)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID)
	// The name is looked at before the invite.
	_, err = f.tryRegister("alice", goodPassword, once)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)

	late := f.invite(5, time.Hour)
	f.clock.advance(2 * time.Hour)
	_, err = f.tryRegister("bob", goodPassword, late)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_EXPIRED)
}

func TestInviteIsUsedByOneOfTwo(t *testing.T) {
	f := start(t, func(c *Config) { c.Registration = config.RegistrationInvite })
	token := f.invite(1, time.Hour)
	first, err := f.beginRegistration(f.dial(), "alice", goodPassword, token)
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.beginRegistration(f.dial(), "bob", goodPassword, token)
	if err != nil {
		t.Fatal(err)
	}
	must[qpcv1.RegisterFinishResponse](first.device.conn, first.finish)
	_, err = call[qpcv1.RegisterFinishResponse](second.device.conn, second.finish)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID)
	_, err = call[qpcv1.ResolveUserResponse](f.dial(), &qpcv1.ResolveUserRequest{Name: "bob"})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
}

func TestNameGoesToOneOfTwo(t *testing.T) {
	f := start(t)
	first, err := f.beginRegistration(f.dial(), "alice", goodPassword, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.beginRegistration(f.dial(), "alice", goodPassword, nil)
	if err != nil {
		t.Fatal(err)
	}
	must[qpcv1.RegisterFinishResponse](first.device.conn, first.finish)
	_, err = call[qpcv1.RegisterFinishResponse](second.device.conn, second.finish)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)
}

func TestRegistrationClosed(t *testing.T) {
	f := start(t, func(c *Config) { c.Registration = config.RegistrationClosed })
	_, err := f.tryRegister("alice", goodPassword, random(16))
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_REGISTRATION_CLOSED)
	info := must[qpcv1.InfoResponse](f.dial(), &qpcv1.InfoRequest{})
	if info.Registration != qpcv1.InfoResponse_REGISTRATION_CLOSED || info.ServerName != "127.0.0.1" || info.MaxChannelAddresses != 2000 {
		t.Errorf("info: %v", info)
	}
}

func TestRegisterFinishIsValidated(t *testing.T) {
	f := start(t)
	other := f.register("other")
	for name, tc := range map[string]struct {
		damage func(r *registration)
		want   qpcv1.ErrorCode
	}{
		"record of zeros":       {func(r *registration) { r.finish.OpaqueRecord = make([]byte, opaque.RecordSize) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"short record":          {func(r *registration) { r.finish.OpaqueRecord = r.finish.OpaqueRecord[1:] }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no account key":        {func(r *registration) { r.finish.AccountPublicKey = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no sealed key":         {func(r *registration) { r.finish.SealedAccountKey = nil }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"huge sealed key":       {func(r *registration) { r.finish.SealedAccountKey = random(2000) }, qpcv1.ErrorCode_ERROR_CODE_MALFORMED},
		"no certificate":        {func(r *registration) { r.finish.DeviceCertificate = nil }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
		"another's certificate": {func(r *registration) { r.finish.DeviceCertificate = other.cert.Raw }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
		"another's key":         {func(r *registration) { r.finish.AccountPublicKey = other.key.Public() }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
		"expired certificate":   {func(r *registration) { r.certify(t, -2*time.Hour, -time.Hour) }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
		"future certificate":    {func(r *registration) { r.certify(t, time.Hour, 2*time.Hour) }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
		"another's device key":  {func(r *registration) { r.device.private = other.private; r.certify(t, -time.Hour, time.Hour) }, qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := f.beginRegistration(f.dial(), "alice", goodPassword, nil)
			if err != nil {
				t.Fatal(err)
			}
			tc.damage(r)
			_, err = call[qpcv1.RegisterFinishResponse](r.device.conn, r.finish)
			wantCode(t, err, tc.want)
			// Nothing is left behind, and the exchange had its one try.
			_, err = call[qpcv1.ResolveUserResponse](r.device.conn, &qpcv1.ResolveUserRequest{Name: "alice"})
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
			_, err = call[qpcv1.RegisterFinishResponse](r.device.conn, r.finish)
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
		})
	}
}

// certify replaces the certificate by one of the device's key for a time.
func (r *registration) certify(t *testing.T, from, to time.Duration) {
	t.Helper()
	now := time.Now()
	cert, err := r.device.key.IssueCertificate(r.device.person.id, publicOf(r.device.private), "device", now.Add(from), now.Add(to))
	if err != nil {
		t.Fatal(err)
	}
	r.finish.DeviceCertificate = cert.Raw
}

func TestExchangesEnd(t *testing.T) {
	f := start(t)
	f.register("alice")

	t.Run("without a start", func(t *testing.T) {
		c := f.dial()
		_, err := call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: random(64)})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
		_, err = call[qpcv1.RegisterFinishResponse](c, &qpcv1.RegisterFinishRequest{})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	})
	t.Run("of the other kind", func(t *testing.T) {
		r, err := f.beginRegistration(f.dial(), "bob", goodPassword, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = call[qpcv1.LoginFinishResponse](r.device.conn, &qpcv1.LoginFinishRequest{Ke3: random(64)})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	})
	t.Run("on another connection", func(t *testing.T) {
		r, err := f.beginRegistration(f.dial(), "bob", goodPassword, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = call[qpcv1.RegisterFinishResponse](f.dial(), r.finish)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	})
	t.Run("too late", func(t *testing.T) {
		r, err := f.beginRegistration(f.dial(), "bob", goodPassword, nil)
		if err != nil {
			t.Fatal(err)
		}
		f.clock.advance(10 * time.Minute)
		_, err = call[qpcv1.RegisterFinishResponse](r.device.conn, r.finish)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_EXCHANGE)
	})
	t.Run("after a login", func(t *testing.T) {
		c := f.dial()
		if _, err := f.tryLogin(c, "alice", "correct horse alice"); err != nil {
			t.Fatal(err)
		}
		_, err := f.tryLogin(c, "alice", "correct horse alice")
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION)
		_, err = f.beginRegistration(c, "bob", goodPassword, nil)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION)
	})
	t.Run("by authenticating in between", func(t *testing.T) {
		r, err := f.beginRegistration(f.dial(), "bob", goodPassword, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.register("carol").authenticate(r.device.conn); err != nil {
			t.Fatal(err)
		}
		_, err = call[qpcv1.RegisterFinishResponse](r.device.conn, r.finish)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION)
		_, err = call[qpcv1.ResolveUserResponse](f.dial(), &qpcv1.ResolveUserRequest{Name: "bob"})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	})
}

func TestOPAQUEMessagesAreValidated(t *testing.T) {
	f := start(t)
	f.register("alice")
	for _, message := range [][]byte{nil, {}, random(5), make([]byte, opaque.RequestSize), make([]byte, opaque.KE1Size), bytes.Repeat([]byte{0xff}, opaque.RequestSize), bytes.Repeat([]byte{0xff}, opaque.KE1Size)} {
		_, err := call[qpcv1.RegisterStartResponse](f.dial(), &qpcv1.RegisterStartRequest{Name: "bob", OpaqueRequest: message})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
		for _, name := range []string{"alice", "nobody"} {
			_, err := call[qpcv1.LoginStartResponse](f.dial(), &qpcv1.LoginStartRequest{Name: name, Ke1: message})
			wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
		}
	}
}

// An exchange that began before the account's record changed says nothing about
// the account of now, and its connection is ended.
func TestLoginWithARecordThatWasReplaced(t *testing.T) {
	f := start(t)
	alice := f.register("alice")
	f.register("bob")
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
	f.damage("UPDATE accounts SET record = (SELECT record FROM accounts WHERE name = 'bob') WHERE name = 'alice'")
	_, err = call[qpcv1.LoginFinishResponse](c, &qpcv1.LoginFinishRequest{Ke3: ke3})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED)
	if reason := c.goodbye(); reason != qpcv1.Goodbye_REASON_REVOKED {
		t.Errorf("goodbye: %v", reason)
	}
}
