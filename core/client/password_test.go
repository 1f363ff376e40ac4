package client

import (
	"context"
	"errors"
	"sync"
	"testing"

	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const nextPassword = "another anvil entirely"

// cut closes the connection on which the account's own requests go.
func (m *member) cut() {
	if conn, _ := m.account.current(); conn != nil {
		_ = conn.Close()
	}
}

// opens tells whether the password opens the profile of a closed client.
func (m *member) opens(password string) bool {
	m.t.Helper()
	v, err := vault.Open(m.o.vaultDir(), password, m.o.vaultOptions())
	if errors.Is(err, vault.ErrWrongPassword) {
		return false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		m.t.Fatal(err)
	}
	return true
}

// wantPasswords closes the client and looks which password counts where.
func (m *member) wantPasswords(server string, local ...string) {
	m.t.Helper()
	for _, p := range []string{testPassword, nextPassword} {
		right, err := m.knowsPassword(m.t.Context(), []byte(p))
		if err != nil || right != (p == server) {
			m.t.Errorf("the server says %v to %q: %v", right, p, err)
		}
	}
	m.close()
	for _, p := range []string{testPassword, nextPassword} {
		want := false
		for _, l := range local {
			want = want || l == p
		}
		if m.opens(p) != want {
			m.t.Errorf("%q opens the profile: %v", p, !want)
		}
	}
}

func TestChangePassword(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	for _, tc := range []struct {
		present, next string
		want          error
	}{
		{"not the password", nextPassword, ErrPresentPassword},
		{nextPassword, testPassword, ErrPresentPassword},
		{"", nextPassword, ErrPresentPassword},
	} {
		if err := alice.Client.ChangePassword(t.Context(), tc.present, tc.next); !errors.Is(err, tc.want) {
			t.Errorf("%q: %v", tc.present, err)
		}
	}
	var weak *WeakPasswordError
	if err := alice.Client.ChangePassword(t.Context(), testPassword, "alice1234567"); !errors.As(err, &weak) {
		t.Error(err)
	}
	if alice.vault.Staged() {
		t.Error("a refused password opens the profile")
	}
	if err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword); err != nil {
		t.Fatal(err)
	}
	alice.wantPasswords(nextPassword, nextPassword)
}

// What the server refuses leaves both sides as they were.
func TestChangePasswordRefused(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	account := alice.Me().AccountID
	f.intercept(func(req any) {
		if m, ok := req.(*qpcv1.ChangePasswordFinishRequest); ok {
			m.Ke3[0] ^= 1
		}
	}, nil)
	if err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword); !errors.Is(err, ErrPresentPassword) {
		t.Error(err)
	}
	f.intercept(nil, nil)
	// A server that lies about the account key is not given a new one.
	f.mu.Lock()
	f.accounts[account].sealedKey[20] ^= 1
	f.mu.Unlock()
	if err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword); !errors.Is(err, ErrServerIdentity) {
		t.Error(err)
	}
	alice.wantPasswords(testPassword, testPassword)
}

// The answer to the decisive request is lost: the client asks again.
func TestPasswordAnswerLost(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	var once sync.Once
	f.intercept(nil, func(req any) {
		if _, ok := req.(*qpcv1.ChangePasswordFinishRequest); ok {
			once.Do(alice.cut)
		}
	})
	if err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword); err != nil {
		t.Fatal(err)
	}
	f.intercept(nil, nil)
	alice.wantPasswords(nextPassword, nextPassword)
}

// The request itself is lost, or its start: nothing was changed, and the former
// is made again.
func TestPasswordRequestLost(t *testing.T) {
	for name, tc := range map[string]struct {
		lost func(req any) bool
		want string
	}{
		"start":  {func(req any) bool { _, ok := req.(*qpcv1.ChangePasswordStartRequest); return ok }, testPassword},
		"finish": {func(req any) bool { _, ok := req.(*qpcv1.ChangePasswordFinishRequest); return ok }, nextPassword},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			alice := f.register("alice")
			var once sync.Once
			f.intercept(func(req any) {
				if tc.lost(req) {
					once.Do(func() { lose(req); alice.cut() })
				}
			}, nil)
			err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword)
			f.intercept(nil, nil)
			if tc.want == testPassword && !errors.Is(err, ErrOffline) || tc.want == nextPassword && err != nil {
				t.Errorf("got %v", err)
			}
			alice.wantPasswords(tc.want, tc.want)
		})
	}
}

// lose keeps a request from having an effect.
func lose(req any) {
	if m, ok := req.(*qpcv1.ChangePasswordFinishRequest); ok {
		m.Ke3 = nil
	}
}

// The client dies before it knows what became of a change. Both passwords open
// the profile, and the next start settles which one counts.
func TestPasswordSettledAfterARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		carriedOut bool
		openWith   string
	}{
		"made, opened with the new one":     {true, nextPassword},
		"made, opened with the old one":     {true, testPassword},
		"not made, opened with the new one": {false, nextPassword},
		"not made, opened with the old one": {false, testPassword},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeServer(t)
			alice := f.register("alice")
			account := f.accounts[alice.Me().AccountID]
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			gate := make(chan struct{})
			record, sealed := account.record, account.sealedKey
			f.intercept(func(req any) {
				if _, ok := req.(*qpcv1.LoginStartRequest); ok {
					<-gate
				}
			}, func(req any) {
				if _, ok := req.(*qpcv1.ChangePasswordFinishRequest); ok {
					if !tc.carriedOut {
						f.mu.Lock()
						account.record, account.sealedKey = record, sealed
						f.mu.Unlock()
					}
					cancel()
					alice.cut()
				}
			})
			if err := alice.Client.ChangePassword(ctx, testPassword, nextPassword); !errors.Is(err, ErrPasswordUncertain) {
				t.Fatal(err)
			}
			alice.close()
			if !alice.opens(testPassword) || !alice.opens(nextPassword) {
				t.Error("a password of the two does not open the profile")
			}
			c, err := Open(t.Context(), alice.o, tc.openWith)
			if err != nil {
				t.Fatal(err)
			}
			alice.Client = c
			f.intercept(nil, nil)
			close(gate)
			alice.until("the password", func() bool { return !alice.vault.Staged() })
			want := testPassword
			if tc.carriedOut {
				want = nextPassword
			}
			alice.wantPasswords(want, want)
		})
	}
}

// A second change, while it is not known what became of the first, does not shut
// out the password that the server has, whichever it is.
func TestPasswordChangedWhileUncertain(t *testing.T) {
	const third = "a third one, unlike both"
	f := newFakeServer(t)
	alice := f.register("alice")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.intercept(func(req any) {
		if m, ok := req.(*qpcv1.LoginStartRequest); ok {
			m.Ke1 = nil // nobody learns which one counts
		}
	}, func(req any) {
		if _, ok := req.(*qpcv1.ChangePasswordFinishRequest); ok {
			cancel()
			alice.cut()
		}
	})
	if err := alice.Client.ChangePassword(ctx, testPassword, nextPassword); !errors.Is(err, ErrPasswordUncertain) {
		t.Fatal(err)
	}
	change := func(present string) (err error) {
		alice.until("a connection", func() bool {
			err = alice.Client.ChangePassword(t.Context(), present, third)
			return !errors.Is(err, ErrOffline)
		})
		return err
	}
	for _, present := range []string{testPassword, nextPassword, "neither of the two"} {
		if err := change(present); err == nil {
			t.Errorf("%q was changed, although nobody knows which one counts", present)
		}
	}
	f.intercept(nil, nil)
	for _, present := range []string{testPassword, "neither of the two"} {
		if err := change(present); !errors.Is(err, ErrPresentPassword) {
			t.Errorf("%q: %v", present, err)
		}
	}
	alice.close()
	if !alice.opens(nextPassword) {
		t.Error("the server's password does not open the profile")
	}
	c, err := Open(t.Context(), alice.o, nextPassword)
	if err != nil {
		t.Fatal(err)
	}
	alice.Client = c
	if err := c.ChangePassword(t.Context(), nextPassword, testPassword); err != nil {
		t.Fatal(err)
	}
	alice.wantPasswords(testPassword, testPassword)
}

// The profile of another device opens with the old password until it is told.
func TestUseAccountPassword(t *testing.T) {
	f := newFakeServer(t)
	alice := f.register("alice")
	laptop := f.login("alice", "laptop")
	if err := alice.Client.ChangePassword(t.Context(), testPassword, nextPassword); err != nil {
		t.Fatal(err)
	}
	if err := laptop.UseAccountPassword(t.Context(), testPassword); !errors.Is(err, ErrPresentPassword) {
		t.Error(err)
	}
	laptop.close()
	if !laptop.opens(testPassword) || laptop.opens(nextPassword) {
		t.Error("the profile was changed")
	}
	laptop.reopen()
	if err := laptop.UseAccountPassword(t.Context(), nextPassword); err != nil {
		t.Fatal(err)
	}
	laptop.wantPasswords(nextPassword, nextPassword)
}

// A password is the same on every keyboard, whichever way its accents are typed.
func TestPasswordOnAnotherKeyboard(t *testing.T) {
	const composed, decomposed = "caf\u00e9 and a croissant", "cafe\u0301\u00a0and a croissant"
	f := newFakeServer(t)
	alice := f.register("alice")
	alice.must(alice.Client.ChangePassword(t.Context(), testPassword, decomposed))
	for n, password := range []string{composed, decomposed} {
		c, err := Login(t.Context(), f.options([]string{"one", "two"}[n]), f.link, "alice", password)
		alice.must(err)
		_, err = c.CreateRecoveryCode(t.Context(), decomposed)
		alice.must(errors.Join(err, c.Close()))
	}
	alice.close()
	c, err := Open(t.Context(), alice.o, composed)
	alice.must(err)
	alice.Client = c
	alice.must(alice.Client.ChangePassword(t.Context(), composed, nextPassword))
}
