package client

import (
	"errors"
	"os"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func (f *fakeServer) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// The last answer of a recovery is lost: the new password tells that it worked.
func TestRecoveryAnswerLost(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	code, err := alice.CreateRecoveryCode(t.Context(), testPassword)
	alice.must(err)
	f.set(func() { f.failLate = true })
	c, next, err := RecoverAccount(t.Context(), f.options("rescued"), f.link, "alice", code, nextPassword)
	if err != nil {
		t.Fatal(err)
	}
	rescued := &member{Client: c, t: t, f: f, o: f.options("rescued")}
	t.Cleanup(rescued.close)
	rescued.sync()
	if next == code || CheckRecoveryCode(next) != nil {
		t.Errorf("next code %q", next)
	}
	if _, _, err := RecoverAccount(t.Context(), f.options("again"), f.link, "alice", code, nextPassword); !errors.Is(err, ErrWrongRecoveryCode) {
		t.Errorf("a spent code: %v", err)
	}
	f.set(func() { f.failLate = false })
	c, _, err = RecoverAccount(t.Context(), f.options("again"), f.link, "alice", next, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What goes wrong on the way leaves no profile, and says whether there is a new
// code.
func TestRecoveryInterrupted(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	code, err := alice.CreateRecoveryCode(t.Context(), testPassword)
	alice.must(err)
	o := f.options("rescued")
	try := func(name, code, password string) (string, error) {
		c, next, err := RecoverAccount(t.Context(), o, f.link, name, code, password)
		if c != nil {
			t.Fatal("recovered")
		}
		if _, statErr := os.Stat(o.Dir); !os.IsNotExist(statErr) {
			t.Error("something was left behind")
		}
		return next, err
	}
	var weak *WeakPasswordError
	for what, tc := range map[string]struct {
		name, code, password string
		want                 func(error) bool
	}{
		"mistyped":      {"alice", code[1:], nextPassword, func(err error) bool { return errors.Is(err, ErrRecoveryCodeInvalid) }},
		"weak password": {"alice", code, "password12", func(err error) bool { return errors.As(err, &weak) }},
		"another name":  {"bob", code, nextPassword, func(err error) bool { return errors.Is(err, ErrWrongRecoveryCode) }},
	} {
		if next, err := try(tc.name, tc.code, tc.password); next != "" || !tc.want(err) {
			t.Errorf("%s: %q, %v", what, next, err)
		}
	}
	// A server that lies about the bundle gets nothing signed.
	account := f.accounts[alice.Me().AccountID]
	f.set(func() { account.bundle.Sealed[30] ^= 1 })
	if next, err := try("alice", code, nextPassword); next != "" || !errors.Is(err, ErrServerIdentity) {
		t.Errorf("a changed bundle: %q, %v", next, err)
	}
	f.set(func() { account.bundle.Sealed[30] ^= 1 })

	// Not carried out, and no answer: the code is still good.
	record := account.record
	f.intercept(nil, func(req any) {
		if _, ok := req.(*qpcv1.RecoverAccountFinishRequest); ok {
			f.set(func() { account.record = record })
		}
	})
	bundle := account.bundle
	f.set(func() { f.failLate = true })
	if next, err := try("alice", code, nextPassword); next != "" || !errors.Is(err, ErrRecoveryUncertain) {
		t.Errorf("no answer: %q, %v", next, err)
	}
	f.intercept(nil, nil)

	// Recovered, but the device is refused: the next code counts.
	f.set(func() { f.failLate, account.bundle = false, bundle })
	f.intercept(func(req any) {
		if m, ok := req.(*qpcv1.EnrolDeviceRequest); ok {
			m.DeviceCertificate = nil
		}
	}, nil)
	next, err := try("alice", code, nextPassword)
	if next == "" || err == nil {
		t.Fatalf("device refused: %q, %v", next, err)
	}
	f.intercept(nil, nil)
	c, _, err := RecoverAccount(t.Context(), o, f.link, "alice", next, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Where only the answer to a deletion is lost, asking again deletes the profile.
func TestDeletionAnswerLost(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	if err := alice.DeleteAccount(t.Context(), nextPassword); !errors.Is(err, ErrPresentPassword) {
		t.Errorf("wrong password: %v", err)
	}
	alice.awaitState(id, StateActive)
	f.set(func() { f.lastAdmin = true })
	if err := alice.DeleteAccount(t.Context(), testPassword); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("last admin: %v", err)
	}
	alice.awaitState(id, StateActive) // it was refused before anything was left
	f.set(func() { f.lastAdmin, f.failLate = false, true })
	if err := alice.DeleteAccount(t.Context(), testPassword); !errors.Is(err, ErrServer) {
		t.Fatalf("no answer: %v", err)
	}
	if !HasProfile(alice.o.Dir) {
		t.Fatal("the profile is gone before the account is known to be")
	}
	alice.awaitState(id, StateLeft)
	if err := alice.DeleteAccount(t.Context(), testPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(alice.o.Dir); !os.IsNotExist(err) {
		t.Errorf("the profile is still there: %v", err)
	}
	bob.until("alice to be gone", func() bool {
		members, err := bob.Members(t.Context(), id)
		return err == nil && len(members) == 1
	})
}
