package storagetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
)

func accountOf(t testing.TB, s storage.Store, id [16]byte) storage.Account {
	t.Helper()
	a, err := s.Account(t.Context(), id)
	must(t, err)
	return a
}

func newPassword(a storage.Account, n byte) storage.PasswordChange {
	return storage.PasswordChange{
		Account: a.ID, Before: a.Record, Record: bytes.Repeat([]byte{n}, 192), SealedKey: bytes.Repeat([]byte{n}, 60),
	}
}

func testChangePassword(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	d := enrol(t, s)
	other := enrol(t, s)
	before := accountOf(t, s, d.Account)
	untouched := accountOf(t, s, other.Account)
	c := newPassword(before, 8)
	must(t, s.ChangePassword(t.Context(), c))
	must(t, s.ChangePassword(t.Context(), c)) // its answer was lost
	after := accountOf(t, s, d.Account)
	if !bytes.Equal(after.Record, c.Record) || !bytes.Equal(after.SealedKey, c.SealedKey) {
		t.Fatal("the password is not the new one")
	}
	if !bytes.Equal(after.PublicKey, before.PublicKey) || after.Name != before.Name || after.CreatedDay != before.CreatedDay {
		t.Fatal("more than the password was changed")
	}
	// one that is based on what was before
	late := newPassword(before, 9)
	wantErr(t, s.ChangePassword(t.Context(), late), storage.ErrAccountChanged)
	half := c
	half.SealedKey = late.SealedKey
	wantErr(t, s.ChangePassword(t.Context(), half), storage.ErrAccountChanged)
	if a := accountOf(t, s, d.Account); !bytes.Equal(a.Record, c.Record) || !bytes.Equal(a.SealedKey, c.SealedKey) {
		t.Fatal("a refused change had an effect")
	}
	late.Account = random16()
	wantErr(t, s.ChangePassword(t.Context(), late), storage.ErrUnknownAccount)
	if a := accountOf(t, s, other.Account); !bytes.Equal(a.Record, untouched.Record) || !bytes.Equal(a.SealedKey, untouched.SealedKey) {
		t.Fatal("another account was changed")
	}
	devices, err := s.Devices(t.Context(), d.Account)
	must(t, err)
	equal(t, "devices", len(devices), 1)
}

// Of many changes that are based on one record, one is made, and its record
// and key belong together.
func testPasswordRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	a := accountOf(t, s, enrol(t, s).Account)
	var made atomic.Int32
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			switch err := s.ChangePassword(t.Context(), newPassword(a, byte(n+10))); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, storage.ErrAccountChanged):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "changes that were made", made.Load(), 1)
	if a = accountOf(t, s, a.ID); a.Record[0] != a.SealedKey[0] {
		t.Error("the record and the key are of two changes")
	}
}

func testDeleteAccount(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	n := newAccount("ada")
	one, err := s.CreateAccount(t.Context(), n)
	must(t, err)
	two, gone, kept := addDevice(t, s, n.ID), addDevice(t, s, n.ID), enrol(t, s)
	must(t, s.RevokeDevice(t.Context(), n.ID, gone.ID))
	putKeys(t, s, one.ID, 2, true)
	putKeys(t, s, kept.ID, 2, true)
	c := newChannel(t, s, one.Queue, two.Queue, kept.Queue)
	post(t, s, newPost(c.ID, 7, "before"))
	must(t, s.PutVault(t.Context(), storage.Vault{Account: n.ID, Version: 1, Sealed: []byte("vault")}))
	must(t, s.PutVault(t.Context(), storage.Vault{Account: kept.Account, Version: 1, Sealed: []byte("kept")}))
	must(t, s.PutRecovery(t.Context(), storage.Recovery{Account: n.ID, Verifier: []byte("v"), Sealed: []byte("s")}))
	banned := ban(t, s, newBan(n.ID, nil))

	must(t, s.MayDeleteAccount(t.Context(), n.ID))
	must(t, s.DeleteAccount(t.Context(), n.ID, n.NameHash))
	must(t, s.DeleteAccount(t.Context(), n.ID, n.NameHash))
	must(t, s.MayDeleteAccount(t.Context(), n.ID))

	bans, err := s.Bans(t.Context(), 0, today, 10)
	must(t, err)
	equal(t, "bans", len(bans), 0)
	last, err := s.LastBan(t.Context())
	must(t, err)
	equal(t, "newest ban", last, banned.Number) // servers go on counting from it
	_, err = s.BanAccount(t.Context(), newBan(n.ID, nil))
	wantErr(t, err, storage.ErrUnknownAccount)
	wantErr(t, s.SetRole(t.Context(), n.ID, storage.RoleAdmin), storage.ErrUnknownAccount)
	_, err = s.Account(t.Context(), n.ID)
	wantErr(t, err, storage.ErrUnknownAccount)
	_, err = s.AccountByName(t.Context(), "ada")
	wantErr(t, err, storage.ErrUnknownAccount)
	for _, d := range []storage.Device{one, two, gone} {
		_, err = s.Device(t.Context(), n.ID, d.ID)
		wantErr(t, err, storage.ErrUnknownDevice) // and not revoked: nothing is known of it
		_, _, err = s.FetchItems(t.Context(), d.Queue, 0, 10, 1000)
		wantErr(t, err, storage.ErrUnknownQueue)
		_, err = s.HybridKey(t.Context(), d.ID)
		wantErr(t, err, storage.ErrUnknownDevice)
		_, err = s.AddDevice(t.Context(), storage.NewDevice{ID: d.ID, Account: n.ID, Now: today})
		wantErr(t, err, storage.ErrUnknownAccount)
	}
	_, err = s.ClaimKeyPackages(t.Context(), n.ID, nil, today)
	wantErr(t, err, storage.ErrUnknownAccount)
	v, err := s.Vault(t.Context(), n.ID)
	must(t, err)
	equal(t, "version of the vault", v.Version, 0)
	_, err = s.Recovery(t.Context(), n.ID)
	wantErr(t, err, storage.ErrNoRecovery)
	wantErr(t, s.PutVault(t.Context(), storage.Vault{Account: n.ID, Version: 2}), storage.ErrUnknownAccount)
	wantErr(t, s.PutRecovery(t.Context(), storage.Recovery{Account: n.ID}), storage.ErrUnknownAccount)

	// nobody gets the name, and nothing of anybody else is gone
	deleted, err := s.NameDeleted(t.Context(), n.NameHash)
	must(t, err)
	equal(t, "name is known as deleted", deleted, true)
	deleted, err = s.NameDeleted(t.Context(), sha256.Sum256([]byte("eve")))
	must(t, err)
	equal(t, "another name is", deleted, false)
	again := newAccount("ada")
	_, err = s.CreateAccount(t.Context(), again)
	wantErr(t, err, storage.ErrNameTaken)
	_, err = s.Account(t.Context(), again.ID)
	wantErr(t, err, storage.ErrUnknownAccount)
	equal(t, "queues woken", len(post(t, s, newPost(c.ID, 7, "after")).Appended), 1)
	equal(t, "kept queue", texts(t, s, kept.Queue), "before after")
	v, err = s.Vault(t.Context(), kept.Account)
	must(t, err)
	equal(t, "kept vault", string(v.Sealed), "kept")
	equal(t, "kept keys", len(claim(t, s, kept.Account, today)), 1)
}

// The last admin of others stays, with all that it has.
func testDeleteLastAdmin(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	hash := func(id [16]byte) storage.NameHash { return sha256.Sum256(id[:]) }
	alone := enrolAs(t, s, "alone", storage.RoleAdmin)
	must(t, s.MayDeleteAccount(t.Context(), alone))
	must(t, s.DeleteAccount(t.Context(), alone, hash(alone))) // nobody is left behind

	admin, user, mod := enrolAs(t, s, "admin", storage.RoleAdmin), enrolAs(t, s, "user", storage.RoleUser), enrolAs(t, s, "mod", storage.RoleModerator)
	refused := func(id [16]byte) {
		t.Helper()
		wantErr(t, s.MayDeleteAccount(t.Context(), id), storage.ErrLastAdmin)
		wantErr(t, s.DeleteAccount(t.Context(), id, hash(id)), storage.ErrLastAdmin)
		equal(t, "role", accountOf(t, s, id).Role, storage.RoleAdmin)
		devices, err := s.Devices(t.Context(), id)
		must(t, err)
		equal(t, "devices", len(devices), 1)
		deleted, err := s.NameDeleted(t.Context(), hash(id))
		must(t, err)
		equal(t, "name is known as deleted", deleted, false)
	}
	refused(admin)
	must(t, s.DeleteAccount(t.Context(), user, hash(user)))
	refused(admin) // of a moderator
	second := enrolAs(t, s, "second", storage.RoleAdmin)
	ban(t, s, newBan(second, nil))
	refused(admin) // a banned one cannot take its place
	must(t, s.UnbanAccount(t.Context(), second, nil, today))
	must(t, s.MayDeleteAccount(t.Context(), admin))
	equal(t, "role after the question", accountOf(t, s, admin).Role, storage.RoleAdmin)
	must(t, s.DeleteAccount(t.Context(), admin, hash(admin)))
	refused(second)
	must(t, s.DeleteAccount(t.Context(), mod, hash(mod)))
	must(t, s.DeleteAccount(t.Context(), second, hash(second)))
}

// Of admins who go at the same time, one stays.
func testDeleteAdminsRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	enrolAs(t, s, "user", storage.RoleUser)
	const admins = 4
	var gone atomic.Int32
	var wg sync.WaitGroup
	for n := range admins {
		id := enrolAs(t, s, fmt.Sprintf("admin-%d", n), storage.RoleAdmin)
		wg.Go(func() {
			switch err := s.DeleteAccount(t.Context(), id, sha256.Sum256(id[:])); {
			case err == nil:
				gone.Add(1)
			case !errors.Is(err, storage.ErrLastAdmin):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	left := 0
	all, err := s.Accounts(t.Context(), "", 100)
	must(t, err)
	for _, a := range all {
		if a.Role == storage.RoleAdmin {
			left++
		}
	}
	equal(t, "admins left", left, 1)
	equal(t, "and gone", int(gone.Load())+left, admins)
}

// Whatever happens to an account while it is deleted, nothing of it is left,
// and its name is never given again.
func testDeletionRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	for round := range 8 {
		n := newAccount(fmt.Sprintf("ada-%d", round))
		d, err := s.CreateAccount(t.Context(), n)
		must(t, err)
		c := newChannel(t, s, d.Queue)
		var wg sync.WaitGroup
		for _, do := range []func() error{
			func() error { return s.DeleteAccount(t.Context(), n.ID, n.NameHash) },
			func() error { return s.DeleteAccount(t.Context(), n.ID, n.NameHash) },
			func() error { _, err := s.Post(t.Context(), newPost(c.ID, 7, "x")); return err },
			func() error {
				_, err := s.AddDevice(t.Context(), storage.NewDevice{ID: random16(), Account: n.ID, Now: today})
				return err
			},
			func() error {
				return s.PutVault(t.Context(), storage.Vault{Account: n.ID, Version: 1, Sealed: []byte("v")})
			},
			func() error { return s.PutRecovery(t.Context(), storage.Recovery{Account: n.ID}) },
			func() error { return s.RevokeDevice(t.Context(), n.ID, d.ID) },
			func() error { _, err := s.BanAccount(t.Context(), newBan(n.ID, nil)); return err },
			func() error { return s.PutHybridKey(t.Context(), d.ID, []byte("h")) },
			func() error {
				another := newAccount(n.Name)
				if _, err := s.CreateAccount(t.Context(), another); !errors.Is(err, storage.ErrNameTaken) {
					return fmt.Errorf("the name was given away: %w", err)
				}
				return nil
			},
		} {
			wg.Go(func() {
				err := do()
				for _, ok := range []error{storage.ErrUnknownAccount, storage.ErrUnknownDevice, storage.ErrDeviceRevoked} {
					if errors.Is(err, ok) {
						return
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, err = s.Account(t.Context(), n.ID)
		wantErr(t, err, storage.ErrUnknownAccount)
		devices, err := s.Devices(t.Context(), n.ID)
		must(t, err)
		equal(t, "devices left", len(devices), 0)
	}
}

func wantConflict(t testing.TB, err error, current uint64) {
	t.Helper()
	conflict, ok := errors.AsType[*storage.VaultConflictError](err)
	if !ok || conflict.Current != current {
		t.Fatalf("got %v, want a conflict with version %d", err, current)
	}
}

func testVault(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	account := enrol(t, s).Account
	v, err := s.Vault(t.Context(), account)
	must(t, err)
	equal(t, "version of none", v.Version, 0)
	put := func(version uint64, sealed string) error {
		return s.PutVault(t.Context(), storage.Vault{Account: account, Version: version, Sealed: []byte(sealed)})
	}
	wantConflict(t, put(2, "a"), 0)
	wantConflict(t, put(0, "a"), 0)
	must(t, put(1, "a"))
	must(t, put(1, "a"))
	wantConflict(t, put(1, "b"), 1)
	wantConflict(t, put(3, "b"), 1)
	wantConflict(t, put(1<<63, "b"), 1)
	large := string(bytes.Repeat([]byte("x"), 64<<10))
	must(t, put(2, large))
	wantConflict(t, put(1, "a"), 2)
	v, err = s.Vault(t.Context(), account)
	must(t, err)
	if v.Account != account || v.Version != 2 || string(v.Sealed) != large {
		t.Fatalf("got version %d with %d bytes", v.Version, len(v.Sealed))
	}
	wantErr(t, s.PutVault(t.Context(), storage.Vault{Account: random16(), Version: 1}), storage.ErrUnknownAccount)
}

// Devices that add one to the version of what they have read lose nothing.
func testVaultRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	account := enrol(t, s).Account
	const devices, each = 4, 5
	var wg sync.WaitGroup
	for n := range devices {
		wg.Go(func() {
			for stored := 0; stored < each; {
				v, err := s.Vault(t.Context(), account)
				if err != nil {
					t.Error(err)
					return
				}
				next := storage.Vault{Account: account, Version: v.Version + 1, Sealed: append(bytes.Clone(v.Sealed), byte('a'+n))}
				if err := s.PutVault(t.Context(), next); err == nil {
					stored++
				} else if _, ok := errors.AsType[*storage.VaultConflictError](err); !ok {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	v, err := s.Vault(t.Context(), account)
	must(t, err)
	equal(t, "version", v.Version, devices*each)
	for n := range devices {
		equal(t, "what a device has written", bytes.Count(v.Sealed, []byte{byte('a' + n)}), each)
	}
}

func testRecovery(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	account := enrol(t, s).Account
	before := accountOf(t, s, account)
	bundle := func(n byte) storage.Recovery {
		return storage.Recovery{Account: account, Verifier: bytes.Repeat([]byte{n}, 32), Sealed: bytes.Repeat([]byte{n}, 72)}
	}
	change := func(from, to byte) storage.RecoveryChange {
		return storage.RecoveryChange{
			Before: bundle(from).Verifier, Next: bundle(to),
			Record: bytes.Repeat([]byte{to}, 192), SealedKey: bytes.Repeat([]byte{to}, 60),
		}
	}
	want := func(n byte) {
		t.Helper()
		r, err := s.Recovery(t.Context(), account)
		must(t, err)
		if r.Account != account || !bytes.Equal(r.Verifier, bundle(n).Verifier) || !bytes.Equal(r.Sealed, bundle(n).Sealed) {
			t.Fatalf("got %+v, want bundle %d", r, n)
		}
	}
	_, err := s.Recovery(t.Context(), account)
	wantErr(t, err, storage.ErrNoRecovery)
	wantErr(t, s.RecoverAccount(t.Context(), change(1, 2)), storage.ErrAccountChanged)
	must(t, s.DeleteRecovery(t.Context(), account))
	must(t, s.PutRecovery(t.Context(), bundle(7)))
	must(t, s.PutRecovery(t.Context(), bundle(1)))
	want(1)
	wantErr(t, s.RecoverAccount(t.Context(), change(7, 2)), storage.ErrAccountChanged)
	if a := accountOf(t, s, account); !bytes.Equal(a.Record, before.Record) {
		t.Fatal("a refused recovery changed the password")
	}
	must(t, s.RecoverAccount(t.Context(), change(1, 2)))
	must(t, s.RecoverAccount(t.Context(), change(1, 2)))
	want(2)
	if a := accountOf(t, s, account); a.Record[0] != 2 || a.SealedKey[0] != 2 {
		t.Fatal("the password is not the new one")
	}
	wantErr(t, s.RecoverAccount(t.Context(), change(1, 3)), storage.ErrAccountChanged) // the code is spent
	must(t, s.DeleteRecovery(t.Context(), account))
	_, err = s.Recovery(t.Context(), account)
	wantErr(t, err, storage.ErrNoRecovery)
	stranger := change(1, 2)
	stranger.Next.Account = random16()
	wantErr(t, s.RecoverAccount(t.Context(), stranger), storage.ErrUnknownAccount)

	// of many at once with one code, one is made
	must(t, s.PutRecovery(t.Context(), bundle(1)))
	var made atomic.Int32
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			if err := s.RecoverAccount(t.Context(), change(1, byte(20+n))); err == nil {
				made.Add(1)
			} else if !errors.Is(err, storage.ErrAccountChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "recoveries with one code", made.Load(), 1)
	r, err := s.Recovery(t.Context(), account)
	must(t, err)
	equal(t, "record and bundle belong together", accountOf(t, s, account).Record[0], r.Verifier[0])
}

func testRecoveryTries(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	subject, other := storage.RecoverySubject{1}, storage.RecoverySubject{2}
	for range storage.RecoveryTries {
		must(t, s.CountRecoveryTry(t.Context(), subject, today))
	}
	wantErr(t, s.CountRecoveryTry(t.Context(), subject, today), storage.ErrTooManyTries)
	must(t, s.CountRecoveryTry(t.Context(), other, today))
	must(t, s.ForgiveRecoveryTry(t.Context(), subject, today))
	must(t, s.CountRecoveryTry(t.Context(), subject, today))
	wantErr(t, s.CountRecoveryTry(t.Context(), subject, today), storage.ErrTooManyTries)
	must(t, s.ForgiveRecoveryTry(t.Context(), subject, today.Add(-day))) // not of today's
	wantErr(t, s.CountRecoveryTry(t.Context(), subject, today.Add(8*time.Hour)), storage.ErrTooManyTries)
	expireAll(t, s, today, 1)
	wantErr(t, s.CountRecoveryTry(t.Context(), subject, today), storage.ErrTooManyTries)
	for range storage.RecoveryTries {
		must(t, s.CountRecoveryTry(t.Context(), subject, today.Add(day)))
	}
	wantErr(t, s.CountRecoveryTry(t.Context(), subject, today.Add(day)), storage.ErrTooManyTries)
	must(t, s.ForgiveRecoveryTry(t.Context(), storage.RecoverySubject{9}, today))

	// of many at once, no more are let through
	third := storage.RecoverySubject{3}
	var counted atomic.Int32
	var wg sync.WaitGroup
	for range 4 * storage.RecoveryTries {
		wg.Go(func() {
			if err := s.CountRecoveryTry(t.Context(), third, today); err == nil {
				counted.Add(1)
			} else if !errors.Is(err, storage.ErrTooManyTries) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "guesses at once", counted.Load(), storage.RecoveryTries)
	n, err := s.Expire(t.Context(), today.Add(5*day), 100)
	must(t, err)
	equal(t, "days that are forgotten", n, 3)
}
