package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

func (f *fixture) setRole(name string, role storage.Role) {
	f.t.Helper()
	if err := f.Moderation().SetRole(f.t.Context(), name, role); err != nil {
		f.t.Fatal(err)
	}
}

// operator makes an account with a role.
func (f *fixture) operator(name string, role storage.Role) *member {
	f.t.Helper()
	d := f.register(name)
	f.setRole(name, role)
	return d
}

// said is a text as the member's client would frank it.
func (d *member) said(text string) *qpcv1.FrankedContent {
	d.t.Helper()
	content, err := proto.Marshal(&qpcv1.Content{MessageId: random(16), SentAt: 1_800_000_000_000, Body: &qpcv1.Content_Text{Text: &qpcv1.Text{Body: text}}})
	if err != nil {
		d.t.Fatal(err)
	}
	raw, err := franking.Seal(d.private, d.person.id, content)
	if err != nil {
		d.t.Fatal(err)
	}
	f := new(qpcv1.FrankedContent)
	if err := proto.Unmarshal(raw, f); err != nil {
		d.t.Fatal(err)
	}
	return f
}

// about is a report of a message of d.
func (d *member) about(text string) *qpcv1.ReportMessageRequest {
	d.t.Helper()
	return &qpcv1.ReportMessageRequest{
		Franked: d.said(text), DeviceCertificate: d.cert.Raw, Category: qpcv1.ReportMessageRequest_CATEGORY_SPAM, Note: "please look",
	}
}

func (d *member) report(req *qpcv1.ReportMessageRequest) {
	d.t.Helper()
	must[qpcv1.ReportMessageResponse](d.conn, req)
}

func (d *member) reports(resolved bool) []*qpcv1.Report {
	d.t.Helper()
	return must[qpcv1.ListReportsResponse](d.conn, &qpcv1.ListReportsRequest{Resolved: resolved}).Reports
}

func (d *member) ban(who *member) error {
	d.t.Helper()
	_, err := call[qpcv1.BanUserResponse](d.conn, &qpcv1.BanUserRequest{AccountId: who.person.id[:], Reason: "a reason"})
	return err
}

func (d *member) unban(who *member) error {
	d.t.Helper()
	_, err := call[qpcv1.UnbanUserResponse](d.conn, &qpcv1.UnbanUserRequest{AccountId: who.person.id[:]})
	return err
}

func TestReports(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	first := mallory.about("buy this")
	for range 3 { // again changes nothing
		alice.report(first)
	}
	// The same message, sealed anew by its sender, is the same report.
	retried := proto.CloneOf(first)
	resealed, err := franking.Seal(mallory.private, mallory.person.id, first.Franked.Content)
	if err != nil {
		t.Fatal(err)
	}
	retried.Franked = new(qpcv1.FrankedContent)
	if err := proto.Unmarshal(resealed, retried.Franked); err != nil {
		t.Fatal(err)
	}
	alice.report(retried)
	alice.report(mallory.about("and that"))
	f.register("bob").report(first) // somebody else's is another

	list := mod.reports(false)
	if len(list) != 3 {
		t.Fatalf("%d reports", len(list))
	}
	got := list[0]
	want := &qpcv1.Report{
		Number: got.Number, AccountId: mallory.person.id[:], Name: "mallory", Content: first.Franked.Content,
		Category: first.Category, Note: "please look", Day: storage.DayOf(f.clock.now()),
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	page := must[qpcv1.ListReportsResponse](mod.conn, &qpcv1.ListReportsRequest{Limit: 2})
	if len(page.Reports) != 2 || !page.More {
		t.Errorf("a page: %v", page)
	}
	page = must[qpcv1.ListReportsResponse](mod.conn, &qpcv1.ListReportsRequest{Limit: 2, After: page.Reports[1].Number})
	if len(page.Reports) != 1 || page.More {
		t.Errorf("the next: %v", page)
	}

	for range 2 {
		must[qpcv1.ResolveReportResponse](mod.conn, &qpcv1.ResolveReportRequest{Number: got.Number, Resolution: qpcv1.Report_RESOLUTION_ACTED})
	}
	if resolved := mod.reports(true); len(mod.reports(false)) != 2 || len(resolved) != 1 || resolved[0].Resolution != qpcv1.Report_RESOLUTION_ACTED {
		t.Errorf("resolved: %v", resolved)
	}
	_, err = call[qpcv1.ResolveReportResponse](mod.conn, &qpcv1.ResolveReportRequest{Number: 999, Resolution: qpcv1.Report_RESOLUTION_ACTED})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_REPORT)
	for _, resolution := range []qpcv1.Report_Resolution{0, 3, -1, 1 << 20} {
		_, err = call[qpcv1.ResolveReportResponse](mod.conn, &qpcv1.ResolveReportRequest{Number: got.Number, Resolution: resolution})
		wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_MALFORMED)
	}

	// They are gone after 90 days, and no day earlier.
	f.clock.advance(90 * 24 * time.Hour)
	f.expire(t.Context())
	if left := len(mod.reports(false)); left != 2 {
		t.Errorf("%d reports after 90 days", left)
	}
	f.clock.advance(24 * time.Hour)
	f.expire(t.Context())
	if left := len(mod.reports(false)) + len(mod.reports(true)); left != 0 {
		t.Errorf("%d reports after 91 days", left)
	}
}

// What does not prove that somebody here sent it is refused, and leaves nothing.
func TestForgedReports(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	stranger := &member{person: &person{id: mallory.person.id}, conn: alice.conn}
	var err error
	if stranger.person.key, err = identity.NewAccountKey(); err != nil {
		t.Fatal(err)
	}
	selfMade := f.newDevice(stranger.person) // certified by a key that is not the account's
	selfMade.conn = alice.conn
	elsewhere := f.newDevice(&person{id: [16]byte(random(16)), key: stranger.person.key})
	elsewhere.conn = alice.conn
	// Alice certifies Mallory's device as her own, and the other way round.
	stolen, err := alice.key.IssueCertificate(alice.person.id, publicOf(mallory.private), "x", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(r *qpcv1.ReportMessageRequest){
		"nothing":                 func(r *qpcv1.ReportMessageRequest) { r.Franked, r.DeviceCertificate = nil, nil },
		"other text":              func(r *qpcv1.ReportMessageRequest) { r.Franked.Content = alice.said("worse").Content },
		"other key":               func(r *qpcv1.ReportMessageRequest) { r.Franked.Key = random(32) },
		"longer key":              func(r *qpcv1.ReportMessageRequest) { r.Franked.Key = append(r.Franked.Key, 0) },
		"other signature":         func(r *qpcv1.ReportMessageRequest) { r.Franked.Signature = random(64) },
		"the reporter's own":      func(r *qpcv1.ReportMessageRequest) { r.Franked = alice.said("mine") },
		"another's certificate":   func(r *qpcv1.ReportMessageRequest) { r.DeviceCertificate = alice.cert.Raw },
		"no certificate":          func(r *qpcv1.ReportMessageRequest) { r.DeviceCertificate = nil },
		"damaged certificate":     func(r *qpcv1.ReportMessageRequest) { r.DeviceCertificate = damaged(r.DeviceCertificate) },
		"self-made certificate":   func(r *qpcv1.ReportMessageRequest) { *r = *selfMade.about("forged") },
		"account of elsewhere":    func(r *qpcv1.ReportMessageRequest) { *r = *elsewhere.about("forged") },
		"claimed device":          func(r *qpcv1.ReportMessageRequest) { r.DeviceCertificate = stolen.Raw },
		"content that is no text": func(r *qpcv1.ReportMessageRequest) { r.Franked = franked(t, mallory, []byte("\x0a\x01x")) },
		"content that is garbage": func(r *qpcv1.ReportMessageRequest) { r.Franked = franked(t, mallory, []byte{0xff}) },
	} {
		req := mallory.about("what was said")
		forge(req)
		_, err := call[qpcv1.ReportMessageResponse](alice.conn, req)
		if wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_REPORT_INVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(r *qpcv1.ReportMessageRequest){
		"no category":      func(r *qpcv1.ReportMessageRequest) { r.Category = 0 },
		"unknown category": func(r *qpcv1.ReportMessageRequest) { r.Category = 99 },
		"long note":        func(r *qpcv1.ReportMessageRequest) { r.Note = strings.Repeat("x", 1001) },
	} {
		req := mallory.about("what was said")
		spoil(req)
		_, err := call[qpcv1.ReportMessageResponse](alice.conn, req)
		if wire.CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_MALFORMED {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := mod.reports(false); len(list) != 0 {
		t.Errorf("%d reports were kept", len(list))
	}
	// The longest that can be reported is.
	long := mallory.about(strings.Repeat("x", franking.MaxText))
	long.Note = strings.Repeat("y", 1000)
	alice.report(long)
	if list := mod.reports(false); len(list) != 1 || list[0].DeviceGone {
		t.Errorf("the long one: %d", len(list))
	}
}

func damaged(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func franked(t testing.TB, d *member, content []byte) *qpcv1.FrankedContent {
	t.Helper()
	raw, err := franking.Seal(d.private, d.person.id, content)
	if err != nil {
		t.Fatal(err)
	}
	m := new(qpcv1.FrankedContent)
	if err := proto.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// A message of a device that is gone can be reported, and is marked: whoever
// has the device may have made it.
func TestReportOfARevokedDevice(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	second := f.newDevice(mallory.person)
	second.conn = mallory.conn
	alice.report(second.about("before it was ever enrolled"))
	must[qpcv1.EnrolDeviceResponse](mallory.conn, &qpcv1.EnrolDeviceRequest{DeviceCertificate: second.cert.Raw})
	before := second.about("while it was there")
	alice.report(before)
	must[qpcv1.RevokeDeviceResponse](mallory.conn, &qpcv1.RevokeDeviceRequest{DeviceId: second.id[:]})
	alice.report(second.about("afterwards"))
	var gone []bool
	for _, r := range mod.reports(false) {
		gone = append(gone, r.DeviceGone)
	}
	if fmt.Sprint(gone) != "[true false true]" {
		t.Errorf("marked: %v", gone)
	}
}

func TestReportQuota(t *testing.T) {
	f := start(t)
	alice, bob, mallory := f.register("alice"), f.register("bob"), f.register("mallory")
	perDay := storage.DefaultLimits().ReportsPerDay
	for n := range perDay {
		alice.report(mallory.about(fmt.Sprint("number ", n)))
	}
	_, err := call[qpcv1.ReportMessageResponse](alice.conn, mallory.about("one too many"))
	if e := wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_REPORT_QUOTA); e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour {
		t.Errorf("again in %v", e.RetryAfter)
	}
	bob.report(mallory.about("of another"))
	f.clock.advance(24 * time.Hour)
	alice.report(mallory.about("the next day"))
}

// The database alone tells nothing of reports and reasons.
func TestReportsAreSealed(t *testing.T) {
	f := start(t)
	alice, mallory, mod := f.register("alice"), f.register("mallory"), f.operator("mod", storage.RoleModerator)
	req := mallory.about("a text that stands out")
	req.Note = "a note that stands out"
	alice.report(req)
	if _, err := call[qpcv1.BanUserResponse](mod.conn, &qpcv1.BanUserRequest{AccountId: mallory.person.id[:], Reason: "a reason that stands out"}); err != nil {
		t.Fatal(err)
	}
	f.shutdown()
	files, err := os.ReadFile(filepath.Join(f.cfg.DataDir, secrets.DatabaseName))
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string][]byte{
		"text": []byte("a text that stands out"), "note": []byte("a note that stands out"), "reason": []byte("a reason that stands out"),
		"key": req.Franked.Key, "signature": req.Franked.Signature,
	} {
		if bytes.Contains(files, secret) {
			t.Errorf("the %s is in the database", what)
		}
	}
	// No column of a report has the reporter, or the sender.
	var stored []byte
	if err := f.database().QueryRow(`SELECT id || sealed FROM reports`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*member{alice, mallory} {
		if bytes.Contains(stored, d.person.id[:]) {
			t.Error("an account is in the report")
		}
	}
	f.open()
	f.reconnect(mod)
	if list := mod.reports(false); len(list) != 1 || list[0].Note != req.Note || !list[0].Banned {
		t.Errorf("afterwards: %v", list)
	}
	// What was moved to another row does not open.
	f.shutdown()
	f.damage(`UPDATE reports SET id = x'00'`)
	f.open()
	f.reconnect(mod)
	_, err = call[qpcv1.ListReportsResponse](mod.conn, &qpcv1.ListReportsRequest{})
	wantCode(t, err, qpcv1.ErrorCode_ERROR_CODE_INTERNAL)
}

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
