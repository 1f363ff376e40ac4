package server

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/storage"
)

func TestBan(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	second := f.newDevice(mallory.person)
	must[qpcv1.EnrolDeviceResponse](mallory.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	f.reconnect(second)
	login := f.dial()
	if _, err := f.tryLogin(login, "mallory", mallory.password); err != nil {
		t.Fatal(err)
	}
	if err := mod.ban(mallory); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*conn{"first device": mallory.conn, "second device": second.conn, "login": login} {
		if reason := c.goodbye(); reason != qpcv1.Goodbye_REASON_BANNED {
			t.Errorf("%s: goodbye %v", name, reason)
		}
	}
	wantCode(t, mallory.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	// Only who proves the password, or the device, learns of the ban.
	_, err := f.tryLogin(f.dial(), "mallory", mallory.password)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	if banned, other := f.failLogin("mallory"), f.failLogin("alice"); banned.code != other.code || banned.message != other.message || banned.length != other.length {
		t.Errorf("a wrong password tells: %+v, %+v", banned, other)
	}
	forged := *mallory
	forged.private = alice.private
	wantCode(t, forged.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED)

	// Nobody can begin a conversation; those who have one see the name.
	_, err = call[qpcv1.ResolveUserResponse](f.dial(), &qpcv1.ResolveUserRequest{Name: "mallory"})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	_, err = call[qpcv1.FetchKeyPackageResponse](f.dial(), &qpcv1.FetchKeyPackageRequest{AccountId: mallory.person.id[:]})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE)
	if got := must[qpcv1.ResolveAccountResponse](f.dial(), &qpcv1.ResolveAccountRequest{AccountId: mallory.person.id[:]}); got.Name != "mallory" {
		t.Errorf("the name is %q", got.Name)
	}
	// Its name is not free.
	_, err = f.tryRegister("mallory", goodPassword, nil)
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN)

	banned := must[qpcv1.ListBannedResponse](mod.conn, &qpcv1.ListBannedRequest{}).Banned
	if len(banned) != 1 || banned[0].Name != "mallory" || banned[0].Reason != "a reason" || banned[0].Until != 0 || !bytes.Equal(banned[0].AccountId, mallory.person.id[:]) {
		t.Errorf("listed: %v", banned)
	}
	// It outlives a restart.
	f.restart()
	f.reconnect(mod)
	wantCode(t, mallory.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	for range 2 {
		if err := mod.unban(mallory); err != nil {
			t.Fatal(err)
		}
	}
	f.reconnect(mallory)
	mallory.subscribe(0)
	must[qpcv1.ResolveUserResponse](f.dial(), &qpcv1.ResolveUserRequest{Name: "mallory"})
	for _, secret := range []string{"mallory", "a reason", mallory.person.id.String(), mod.person.id.String()} {
		if bytes.Contains(f.logs.Bytes(), []byte(secret)) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !bytes.Contains(f.logs.Bytes(), []byte("account banned")) {
		t.Error("the log does not tell that somebody was banned")
	}
}

// A recovery code is no way around a ban, and only who has it learns of one.
func TestBannedRecovery(t *testing.T) {
	f := start(t)
	mallory, mod := f.register("mallory"), f.operator("mod", storage.RoleModerator)
	code := mallory.storeCode(f)
	const next = "another anvil entirely"
	begun := f.beginRecovery("mallory", code, next)
	if err := mod.ban(mallory); err != nil {
		t.Fatal(err)
	}
	wantCode(t, begun.run(), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	for range storage.RecoveryTries + 1 { // right codes are no guesses
		_, err := f.fetchBundle(f.dial(), "mallory", code)
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
		f.clock.advance(time.Minute) // for the rate limit
	}
	_, err := f.fetchBundle(f.dial(), "mallory", identity.NewRecoveryCode())
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED)
	if err := mod.unban(mallory); err != nil {
		t.Fatal(err)
	}
	f.wantPassword("mallory", mallory.password, next) // nothing was changed
	if err := f.beginRecovery("mallory", code, next).run(); err != nil {
		t.Fatal(err)
	}
}

// A password is not changed under a ban that came in the middle.
func TestBanWithinAPasswordChange(t *testing.T) {
	f := start(t)
	mallory := f.register("mallory")
	const next = "another anvil entirely"
	c := f.dial()
	if _, err := f.tryLogin(c, "mallory", mallory.password); err != nil {
		t.Fatal(err)
	}
	x := f.beginPassword(c, mallory.person, mallory.password, next)
	// what another process does is found out later
	id := mallory.person.id
	if _, err := f.store.BanAccount(t.Context(), storage.NewBan{Account: id, Now: f.clock.now()}); err != nil {
		t.Fatal(err)
	}
	if err := f.finishPassword(c, x); err == nil {
		t.Error("the password was changed")
	}
	if err := f.store.UnbanAccount(t.Context(), id, nil, f.clock.now()); err != nil {
		t.Fatal(err)
	}
	f.wantPassword("mallory", mallory.password, next)
}

func TestBanWithAnEnd(t *testing.T) {
	f := start(t)
	mallory, mod := f.register("mallory"), f.operator("mod", storage.RoleModerator)
	ban := func(until time.Time) error {
		_, err := call[qpcv1.BanUserResponse](mod.conn, &qpcv1.BanUserRequest{AccountId: mallory.person.id[:], Until: uint64(until.Unix())})
		return err
	}
	wantCode(t, ban(f.clock.now().Add(-time.Second)), qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	wantCode(t, ban(f.clock.now()), qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	must[qpcv1.GetRoleResponse](mallory.conn, &qpcv1.GetRoleRequest{}) // nothing was changed
	end := f.clock.now().Add(2 * time.Hour)
	if err := ban(end); err != nil {
		t.Fatal(err)
	}
	_, err := f.tryLogin(f.dial(), "mallory", mallory.password)
	e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	if !strings.Contains(e.Message, end.UTC().Format("2 January 2006, 15:04")) || e.RetryAfter <= time.Hour || e.RetryAfter > 2*time.Hour {
		t.Errorf("told %q, again in %v", e.Message, e.RetryAfter)
	}
	f.clock.advance(2 * time.Hour)
	f.reconnect(mallory)
	if banned := must[qpcv1.ListBannedResponse](mod.conn, &qpcv1.ListBannedRequest{}).Banned; len(banned) != 0 {
		t.Errorf("listed: %v", banned)
	}
	f.expire(t.Context())
	f.reconnect(mallory)
}

func TestRoles(t *testing.T) {
	f := start(t)
	user, other := f.register("user"), f.register("other")
	mod, mod2 := f.operator("mod", storage.RoleModerator), f.operator("mod2", storage.RoleModerator)
	admin := f.operator("admin", storage.RoleAdmin)
	for d, want := range map[*member]qpcv1.Role{user: qpcv1.Role_ROLE_USER, mod: qpcv1.Role_ROLE_MODERATOR, admin: qpcv1.Role_ROLE_ADMIN} {
		if got := must[qpcv1.GetRoleResponse](d.conn, &qpcv1.GetRoleRequest{}).Role; got != want {
			t.Errorf("got role %v, want %v", got, want)
		}
	}
	wantCode(t, user.ban(other), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	wantCode(t, mod.ban(mod2), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	wantCode(t, mod.ban(admin), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	wantCode(t, mod.ban(mod), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	wantCode(t, admin.ban(admin), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	wantCode(t, f.banByFiles("admin"), qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN)
	must[qpcv1.GetRoleResponse](admin.conn, &qpcv1.GetRoleRequest{}) // and is still there
	if err := admin.ban(mod2); err != nil {
		t.Error(err)
	}
	wantCode(t, mod.unban(mod2), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
	if err := mod.ban(other); err != nil {
		t.Error(err)
	}
	// A role taken away works at once, on a connection that is open.
	f.setRole("mod", storage.RoleUser)
	for _, req := range []proto.Message{&qpcv1.ListReportsRequest{}, &qpcv1.ListBannedRequest{}, &qpcv1.UnbanUserRequest{AccountId: other.person.id[:]}} {
		m, _ := wire.MethodOf(req)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		wantCode(t, mod.Call(ctx, req, m.Response.New().Interface()), qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED)
		cancel()
	}
	_, err := call[qpcv1.BanUserResponse](admin.conn, &qpcv1.BanUserRequest{AccountId: random(16)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	for _, id := range [][]byte{nil, random(15)} {
		_, err := call[qpcv1.BanUserResponse](admin.conn, &qpcv1.BanUserRequest{AccountId: id})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
		_, err = call[qpcv1.UnbanUserResponse](admin.conn, &qpcv1.UnbanUserRequest{AccountId: id})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}
	_, err = call[qpcv1.BanUserResponse](admin.conn, &qpcv1.BanUserRequest{AccountId: user.person.id[:], Reason: strings.Repeat("x", 1001)})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	// A banned operator is none, also on a connection that is about to end.
	f.setRole("mod", storage.RoleModerator)
	if err := f.Moderation().Authorize(t.Context(), mod2.person.id[:]); wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED {
		t.Errorf("a banned operator: %v", err)
	}
}

// banByFiles bans as a command beside the server does.
func (f *fixture) banByFiles(name string) error {
	f.t.Helper()
	beside, err := New(f.cfg, nil, WithClock(f.clock.now))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() {
		if err := beside.Shutdown(context.Background()); err != nil {
			f.t.Error(err)
		}
	}()
	return beside.Moderation().Ban(f.t.Context(), name, time.Time{}, "by files")
}

// A ban that another process makes ends the connections of this one.
func TestBanFromAnotherProcess(t *testing.T) {
	f := start(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	for _, d := range []*member{mallory, bob} {
		if err := f.banByFiles(d.name); err != nil {
			t.Fatal(err)
		}
		if reason := d.goodbye(); reason != qpcv1.Goodbye_REASON_BANNED {
			t.Errorf("%s: goodbye %v", d.name, reason)
		}
	}
	must[qpcv1.GetRoleResponse](alice.conn, &qpcv1.GetRoleRequest{})
	wantCode(t, mallory.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
}

// However bans, unbans and connections race, at the end nobody banned is in.
func TestBanRace(t *testing.T) {
	f := start(t)
	mallory, mod := f.register("mallory"), f.operator("mod", storage.RoleModerator)
	var conns []*conn
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				c := f.dial()
				_ = mallory.authenticate(c) // banned or not, as it happens
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := mod.ban(mallory); err != nil {
				t.Error(err)
			}
			if err := mod.unban(mallory); err != nil {
				t.Error(err)
			}
		}
		if err := mod.ban(mallory); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	wantCode(t, mallory.authenticate(f.dial()), qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
	for _, c := range conns {
		_, err := call[qpcv1.GetRoleResponse](c, &qpcv1.GetRoleRequest{})
		if err == nil {
			t.Error("somebody banned is in")
		}
	}
}

// The role of an invite is that of who registers with it, also where anybody may
// register; and where nobody may, it opens nothing.
func TestInvitesWithARole(t *testing.T) {
	for mode, want := range map[config.Registration]qpcv1.ErrorCode{
		config.RegistrationOpen: 0, config.RegistrationInvite: 0, config.RegistrationClosed: qpcv1.ErrorCode_ERROR_CODE_REGISTRATION_CLOSED,
	} {
		t.Run(string(mode), func(t *testing.T) {
			f := start(t, func(c *Config) { c.Registration = mode })
			text, err := f.CreateRoleInvite(t.Context(), storage.RoleAdmin, 1, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			link, err := wire.ParseLink(text)
			if err != nil {
				t.Fatal(err)
			}
			root, err := f.tryRegister("root", goodPassword, link.Token)
			if wire.CodeOf(err) != want {
				t.Fatal(err)
			}
			if want != 0 {
				return
			}
			if role := must[qpcv1.GetRoleResponse](root.conn, &qpcv1.GetRoleRequest{}).Role; role != qpcv1.Role_ROLE_ADMIN {
				t.Errorf("role %v", role)
			}
			second, err := f.tryRegister("second", goodPassword, link.Token)
			if mode == config.RegistrationInvite {
				wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if role := must[qpcv1.GetRoleResponse](second.conn, &qpcv1.GetRoleRequest{}).Role; role != qpcv1.Role_ROLE_USER {
				t.Errorf("role %v of who came second", role)
			}
		})
	}
}

// A banned account is not woken, and nobody can make contact with its devices.
func TestBanEndsPushAndContact(t *testing.T) {
	f := start(t)
	alice, mallory := f.register("alice"), f.register("mallory")
	fetch := func(m *member) error {
		_, err := call[qpcv1.FetchHybridKeyResponse](f.dial(), &qpcv1.FetchHybridKeyRequest{AccountId: m.person.id[:], DeviceId: m.id[:]})
		return err
	}
	targets := func(m *member) int {
		d, err := f.store.Device(t.Context(), m.person.id, m.id)
		if err != nil {
			t.Fatal(err)
		}
		found, err := f.store.PushTargets(t.Context(), []storage.QueueID{d.Queue})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for _, m := range []*member{alice, mallory} {
		m.registerPush(t, "https://push.example.org/")
		m.uploadHybrid()
		if err := fetch(m); err != nil || targets(m) != 1 {
			t.Fatalf("before the ban: %v, %d registrations", err, targets(m))
		}
	}
	if err := f.operator("mod", storage.RoleModerator).ban(mallory); err != nil {
		t.Fatal(err)
	}
	wantCode(t, fetch(mallory), qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT)
	if n := targets(mallory); n != 0 {
		t.Errorf("%d registrations of a banned account", n)
	}
	if err := fetch(alice); err != nil || targets(alice) != 1 {
		t.Errorf("another account: %v, %d registrations", err, targets(alice))
	}
}
