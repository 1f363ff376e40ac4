package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
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
		"a note of orders": func(r *qpcv1.ReportMessageRequest) { r.Note = "\x1b[2J" },
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
