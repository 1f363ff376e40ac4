package storagetest

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicprochat/server/storage"
)

// enrolAs makes an account of a role and gives its id.
func enrolAs(t testing.TB, s storage.Store, name string, role storage.Role) [16]byte {
	t.Helper()
	a := newAccount(name)
	a.Role = role
	_, err := s.CreateAccount(t.Context(), a)
	must(t, err)
	return a.ID
}

func newBan(account [16]byte, by *[16]byte) storage.NewBan {
	return storage.NewBan{Account: account, By: by, Reason: []byte("sealed"), Now: today}
}

func ban(t testing.TB, s storage.Store, b storage.NewBan) storage.Ban {
	t.Helper()
	made, err := s.BanAccount(t.Context(), b)
	must(t, err)
	return made
}

func testRoles(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	id := enrolAs(t, s, "ada", storage.RoleUser)
	for _, role := range []storage.Role{storage.RoleModerator, storage.RoleAdmin, storage.RoleAdmin, storage.RoleUser} {
		must(t, s.SetRole(t.Context(), id, role))
		equal(t, "role", accountOf(t, s, id).Role, role)
	}
	wantErr(t, s.SetRole(t.Context(), random16(), storage.RoleAdmin), storage.ErrUnknownAccount)

	// an account gets the role of its invite
	invite := storage.Invite{Hash: storage.InviteHash{7}, Uses: 1, Expires: today.Add(time.Hour), Role: storage.RoleAdmin}
	must(t, s.CreateInvite(t.Context(), invite))
	a := newAccount("ben")
	a.Invite = &invite.Hash
	_, err := s.CreateAccount(t.Context(), a)
	must(t, err)
	equal(t, "role by invite", accountOf(t, s, a.ID).Role, storage.RoleAdmin)
	plain := newInvite(t, s, 1)
	a = newAccount("cleo")
	a.Invite = &plain
	_, err = s.CreateAccount(t.Context(), a)
	must(t, err)
	equal(t, "role by a plain invite", accountOf(t, s, a.ID).Role, storage.RoleUser)
}

func testAccountsByName(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	for _, name := range []string{"dora", "b-b", "ada", "b.b", "cleo", "bb"} {
		enrolAs(t, s, name, storage.RoleUser)
	}
	var names []string
	for after, pages := "", 0; pages < 10; pages++ {
		page, err := s.Accounts(t.Context(), after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			names = append(names, a.Name)
			if a.Record != nil || a.SealedKey != nil || a.ID == [16]byte{} || len(a.PublicKey) != 32 {
				t.Fatalf("got %+v", a)
			}
		}
		after = names[len(names)-1]
	}
	if want := []string{"ada", "b-b", "b.b", "bb", "cleo", "dora"}; !slices.Equal(names, want) {
		t.Fatalf("got %q, want %q", names, want)
	}
}

func testBans(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	ada, ben := enrolAs(t, s, "ada", storage.RoleUser), enrolAs(t, s, "ben", storage.RoleUser)
	last, err := s.LastBan(t.Context())
	must(t, err)
	equal(t, "last ban of none", last, 0)
	wantErr(t, s.UnbanAccount(t.Context(), random16(), nil, today), storage.ErrUnknownAccount)
	_, err = s.BanAccount(t.Context(), newBan(random16(), nil))
	wantErr(t, err, storage.ErrUnknownAccount)

	forGood := ban(t, s, newBan(ada, nil))
	short := newBan(ben, nil)
	short.Until = today.Add(time.Hour + time.Millisecond)
	timed := ban(t, s, short)
	equal(t, "end", timed.Until.Unix(), today.Add(time.Hour).Unix())
	if timed.Number <= forGood.Number {
		t.Fatalf("ban %d comes after %d", timed.Number, forGood.Number)
	}
	for id, want := range map[[16]byte]storage.Ban{ada: forGood, ben: timed} {
		got := accountOf(t, s, id)
		if !reflect.DeepEqual(*got.Ban, want) || !got.Banned(today) {
			t.Fatalf("got %+v, want %+v", got.Ban, want)
		}
		byName, err := s.AccountByName(t.Context(), got.Name)
		must(t, err)
		if !reflect.DeepEqual(byName, got) {
			t.Fatalf("by name %+v, by id %+v", byName, got)
		}
	}
	later := today.Add(time.Hour)
	equal(t, "banned for good, later", accountOf(t, s, ada).Banned(later), true)
	equal(t, "banned for an hour, later", accountOf(t, s, ben).Banned(later), false)

	bannedNames := func(after uint64, now time.Time, limit int) (names []string) {
		t.Helper()
		list, err := s.Bans(t.Context(), after, now, limit)
		must(t, err)
		for _, b := range list {
			names = append(names, b.Name)
			if string(b.Reason) != "sealed" || b.Day != storage.DayOf(today) {
				t.Fatalf("got %+v", b)
			}
		}
		return names
	}
	equal(t, "all", fmt.Sprint(bannedNames(0, today, 10)), "[ada ben]")
	equal(t, "first page", fmt.Sprint(bannedNames(0, today, 1)), "[ada]")
	equal(t, "second page", fmt.Sprint(bannedNames(forGood.Number, today, 1)), "[ben]")
	equal(t, "behind the last", fmt.Sprint(bannedNames(timed.Number, today, 1)), "[]")
	equal(t, "behind any", fmt.Sprint(bannedNames(1<<64-1, today, 1)), "[]")
	equal(t, "in force later", fmt.Sprint(bannedNames(0, later, 10)), "[ada]")

	// once more, it is a newer one
	again := ban(t, s, newBan(ada, nil))
	equal(t, "newer", again.Number > timed.Number, true)
	last, err = s.LastBan(t.Context())
	must(t, err)
	equal(t, "last ban", last, again.Number)
	equal(t, "in their new order", fmt.Sprint(bannedNames(0, today, 10)), "[ben ada]")

	for range 2 {
		must(t, s.UnbanAccount(t.Context(), ada, nil, today))
	}
	if a := accountOf(t, s, ada); a.Ban != nil || a.Banned(today) {
		t.Fatalf("still there: %+v", a.Ban)
	}
	// what is over goes by itself; numbers are never used again
	expireAll(t, s, later, 10)
	if a := accountOf(t, s, ben); a.Ban != nil {
		t.Fatalf("still there: %+v", a.Ban)
	}
	next := ban(t, s, newBan(ben, nil))
	equal(t, "behind all", next.Number > again.Number, true)
	expireAll(t, s, today.Add(1000*day), 10)
	equal(t, "for good", accountOf(t, s, ben).Banned(today.Add(2000*day)), true)
}

// Nobody can be invited who is banned, and the keys are there afterwards.
func testBannedKeys(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	d := enrol(t, s)
	putKeys(t, s, d.ID, 2, true)
	b := newBan(d.Account, nil)
	b.Until = today.Add(time.Minute)
	ban(t, s, b)
	equal(t, "devices of a banned account", len(claim(t, s, d.Account, today)), 0)
	count, lastResort, err := s.CountKeyPackages(t.Context(), d.ID, today)
	must(t, err)
	equal(t, "key packages", count, 2)
	equal(t, "last resort", lastResort, true)
	equal(t, "devices afterwards", len(claim(t, s, d.Account, today.Add(time.Minute))), 1)
}

func testBanRules(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	ids := map[string][16]byte{}
	for name, role := range map[string]storage.Role{
		"user": storage.RoleUser, "other": storage.RoleUser, "mod": storage.RoleModerator, "mod2": storage.RoleModerator,
		"admin": storage.RoleAdmin, "admin2": storage.RoleAdmin,
	} {
		ids[name] = enrolAs(t, s, name, role)
	}
	may := map[string][]string{
		"user": {}, "mod": {"user", "other"}, "admin": {"user", "other", "mod", "mod2", "admin2"},
	}
	for by, allowed := range may {
		for name, id := range ids {
			actor := ids[by]
			_, err := s.BanAccount(t.Context(), newBan(id, &actor))
			lift := s.UnbanAccount(t.Context(), id, &actor, today)
			if slices.Contains(allowed, name) {
				must(t, err)
				must(t, lift)
				continue
			}
			wantErr(t, err, storage.ErrForbidden)
			wantErr(t, lift, storage.ErrForbidden)
			if accountOf(t, s, id).Ban != nil {
				t.Fatalf("%s has banned %s", by, name)
			}
		}
	}
	nobody := [16]byte(random16())
	_, err := s.BanAccount(t.Context(), newBan(ids["user"], &nobody))
	wantErr(t, err, storage.ErrForbidden)

	// whoever is banned bans nobody, until the ban is over
	mod, admin := ids["mod"], ids["admin"]
	short := newBan(mod, &admin)
	short.Until = today.Add(time.Hour)
	ban(t, s, short)
	_, err = s.BanAccount(t.Context(), newBan(ids["user"], &mod))
	wantErr(t, err, storage.ErrForbidden)
	wantErr(t, s.UnbanAccount(t.Context(), mod, &mod, today), storage.ErrForbidden)
	late := newBan(ids["user"], &mod)
	late.Now = today.Add(time.Hour)
	ban(t, s, late)
	// a role taken away works at once
	must(t, s.SetRole(t.Context(), mod, storage.RoleUser))
	_, err = s.BanAccount(t.Context(), storage.NewBan{Account: ids["other"], By: &mod, Now: late.Now})
	wantErr(t, err, storage.ErrForbidden)

	// the last admin who is not banned stays, whoever asks
	ban(t, s, newBan(ids["admin2"], &admin))
	_, err = s.BanAccount(t.Context(), newBan(admin, nil))
	wantErr(t, err, storage.ErrLastAdmin)
	must(t, s.UnbanAccount(t.Context(), ids["admin2"], &admin, today))
	ban(t, s, newBan(admin, nil))
	admin2 := ids["admin2"]
	_, err = s.BanAccount(t.Context(), newBan(admin2, &admin))
	wantErr(t, err, storage.ErrForbidden)
	must(t, s.UnbanAccount(t.Context(), admin, &admin2, today))
}

// Of admins who ban each other at the same time, one stays.
func testBanRace(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	const admins = 6
	var ids [][16]byte
	for i := range admins {
		ids = append(ids, enrolAs(t, s, fmt.Sprintf("admin-%d", i), storage.RoleAdmin))
	}
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range ids {
		for j := range ids {
			by := &ids[i]
			if i == j {
				by = nil
			}
			wg.Go(func() {
				if _, err := s.BanAccount(t.Context(), newBan(ids[j], by)); err == nil {
					made.Add(1)
				}
			})
		}
	}
	wg.Wait()
	list, err := s.Bans(t.Context(), 0, today, 100)
	must(t, err)
	equal(t, "banned admins", len(list), admins-1)
	last, err := s.LastBan(t.Context())
	must(t, err)
	equal(t, "numbers", int64(last), made.Load())
}

// Whoever sees a number sees every ban up to it.
func testBansInOrder(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	const accounts = 24
	var wg sync.WaitGroup
	for i := range accounts {
		id := enrolAs(t, s, fmt.Sprintf("user-%d", i), storage.RoleUser)
		wg.Go(func() { ban(t, s, newBan(id, nil)) })
	}
	seen := 0
	for after := uint64(0); seen < accounts; {
		last, err := s.LastBan(t.Context())
		must(t, err)
		list, err := s.Bans(t.Context(), after, today, 100)
		must(t, err)
		for _, b := range list {
			equal(t, "number", b.Number, after+1)
			after = b.Number
		}
		if after < last {
			t.Fatalf("saw %d bans of %d", after, last)
		}
		seen += len(list)
	}
	wg.Wait()
}

func newReport(n byte) storage.NewReport {
	return storage.NewReport{ID: storage.ReportID{n}, Sealed: []byte{n, n, n}, Quota: storage.QuotaKey{1}, Now: today}
}

func addReport(t testing.TB, s storage.Store, r storage.NewReport) {
	t.Helper()
	added, err := s.AddReport(t.Context(), r)
	must(t, err)
	equal(t, "added", added, true)
}

func reports(t testing.TB, s storage.Store, page storage.ReportPage) ([]storage.Report, bool) {
	t.Helper()
	list, more, err := s.Reports(t.Context(), page)
	must(t, err)
	return list, more
}

func testReports(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ReportsPerDay = 3
	s := open(t, limits)
	all := storage.ReportPage{Limit: 10, MaxBytes: 1000}
	list, more := reports(t, s, all)
	equal(t, "reports of none", len(list), 0)
	equal(t, "more", more, false)

	for n := byte(1); n <= 3; n++ {
		addReport(t, s, newReport(n))
	}
	// the same again is not counted, also where the quota is used up
	added, err := s.AddReport(t.Context(), newReport(2))
	must(t, err)
	equal(t, "added again", added, false)
	_, err = s.AddReport(t.Context(), newReport(4))
	wantErr(t, err, storage.ErrReportQuota)
	other := newReport(4)
	other.Quota = storage.QuotaKey{2}
	addReport(t, s, other)

	list, more = reports(t, s, all)
	equal(t, "reports", len(list), 4)
	equal(t, "more", more, false)
	for i, r := range list {
		n := byte(i + 1)
		if r.ID != (storage.ReportID{n}) || string(r.Sealed) != string([]byte{n, n, n}) || r.Day != storage.DayOf(today) || r.Resolution != 0 ||
			i > 0 && r.Number <= list[i-1].Number {
			t.Fatalf("got %+v", r)
		}
	}
	for _, tc := range []struct {
		page storage.ReportPage
		want int
		more bool
	}{
		{storage.ReportPage{Limit: 3, MaxBytes: 1000}, 3, true},
		{storage.ReportPage{Limit: 4, MaxBytes: 1000}, 4, false},
		{storage.ReportPage{Limit: 10, MaxBytes: 6}, 2, true},
		{storage.ReportPage{Limit: 10, MaxBytes: 1}, 1, true},
		{storage.ReportPage{Limit: 10, MaxBytes: 1000, After: list[2].Number}, 1, false},
		{storage.ReportPage{Limit: 10, MaxBytes: 1000, After: 1<<64 - 1}, 0, false},
		{storage.ReportPage{Limit: 10, MaxBytes: 1000, Resolved: true}, 0, false},
	} {
		got, more := reports(t, s, tc.page)
		equal(t, fmt.Sprintf("%+v", tc.page), len(got), tc.want)
		equal(t, fmt.Sprintf("more of %+v", tc.page), more, tc.more)
	}

	must(t, s.ResolveReport(t.Context(), list[1].Number, 2))
	must(t, s.ResolveReport(t.Context(), list[1].Number, 1))
	for _, number := range []uint64{0, list[3].Number + 1, 1<<64 - 1} {
		wantErr(t, s.ResolveReport(t.Context(), number, 1), storage.ErrUnknownReport)
	}
	open2, _ := reports(t, s, all)
	equal(t, "open", len(open2), 3)
	resolved, _ := reports(t, s, storage.ReportPage{Resolved: true, Limit: 10, MaxBytes: 1000})
	equal(t, "resolved", len(resolved), 1)
	equal(t, "resolution", resolved[0].Resolution, 1)
	must(t, s.ResolveReport(t.Context(), list[1].Number, 0))
	open2, _ = reports(t, s, all)
	equal(t, "opened again", len(open2), 4)
}

func testExpireReports(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ReportTTL, limits.ReportsPerDay = 90*day, 1
	s := open(t, limits)
	addReport(t, s, newReport(1))
	later := newReport(2)
	later.Now, later.Quota = today.Add(day), storage.QuotaKey{2}
	addReport(t, s, later)
	all := storage.ReportPage{Limit: 10, MaxBytes: 1000}
	for _, step := range []struct{ days, want int }{{90, 2}, {91, 1}, {91, 1}, {92, 0}} {
		expireAll(t, s, today.AddDate(0, 0, step.days), 1)
		list, _ := reports(t, s, all)
		equal(t, fmt.Sprintf("after %d days", step.days), len(list), step.want)
	}
	// the counts are gone, and numbers go on
	addReport(t, s, newReport(1))
	list, _ := reports(t, s, all)
	equal(t, "number goes on", list[0].Number > 2, true)
}

// Of the same report at the same time, one is kept, and the count holds.
func testReportRace(t *testing.T, open Open) {
	limits := storage.DefaultLimits()
	limits.ReportsPerDay = 5
	s := open(t, limits)
	var added, refused atomic.Int32
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			switch ok, err := s.AddReport(t.Context(), newReport(byte(n%8))); {
			case ok:
				added.Add(1)
			case err != nil:
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	equal(t, "added", added.Load(), 5)
	list, _ := reports(t, s, storage.ReportPage{Limit: 100, MaxBytes: 1000})
	equal(t, "reports", len(list), 5)
	if refused.Load() == 0 {
		t.Error("nothing was refused")
	}
}
