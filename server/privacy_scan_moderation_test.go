package server

import (
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// moderate reports somebody, who stays banned, and bans somebody for a while.
func (l *long) moderate() {
	f := l.f
	f.t.Helper()
	mallory, oscar, mod := f.register("mallory-in-logs"), f.register("oscar-in-logs"), f.operator("mod-in-logs", storage.RoleModerator)
	l.hidePeople(mallory, oscar, mod)

	report := mallory.about("what was said and reported")
	report.Note = "what the reporter adds"
	l.alice.report(report)
	l.alice.report(mallory.about("what stays unresolved"))
	l.hide("a reported text", []byte("what was said and reported"), nil)
	l.hide("a reported text", []byte("what stays unresolved"), nil)
	l.hide("a report's note", []byte(report.Note), nil)
	l.hide("a report's key", report.Franked.Key, nil)
	l.hide("a report's signature", report.Franked.Signature, nil)
	l.hide("a reported sender's certificate", mallory.cert.Raw, []string{"devices.certificate"})

	must[qpcv1.GetRoleResponse](mod.conn, &qpcv1.GetRoleRequest{})
	must[qpcv1.ResolveReportResponse](mod.conn, &qpcv1.ResolveReportRequest{
		Number: mod.reports(false)[0].Number, Resolution: qpcv1.Report_RESOLUTION_ACTED,
	})
	for who, reason := range map[*member]string{mallory: "a reason to ban for good", oscar: "a reason to ban for a day"} {
		must[qpcv1.BanUserResponse](mod.conn, &qpcv1.BanUserRequest{AccountId: who.person.id[:], Reason: reason})
		l.hide("a ban's reason", []byte(reason), nil)
	}
	if err := mod.unban(oscar); err != nil {
		f.t.Fatal(err)
	}
	if banned := must[qpcv1.ListBannedResponse](mod.conn, &qpcv1.ListBannedRequest{}).Banned; len(banned) != 1 {
		f.t.Fatalf("%d are banned", len(banned))
	}
	_, err := f.tryLogin(f.dial(), mallory.name, mallory.password)
	wantCode(f.t, err, qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED)
}
