package view

import (
	"fyne.io/fyne/v2"

	"quicprochat/ui/controller"
	"quicprochat/ui/widgets"
)

// The dialogs, for the tests.

func NewGroup(w *Window) { w.main.newGroup() }
func NewChat(w *Window)  { w.main.newChat() }
func Members(w *Window)  { w.main.open.showMembers() }
func Rename(w *Window)   { w.main.open.rename() }
func Leave(w *Window)    { w.main.open.leave() }
func Settings(w *Window) { w.main.settings() }
func Invite(w *Window)   { w.main.invite() }

func ChangePassword(w *Window)                                           { w.main.changePassword() }
func RecoveryCode(w *Window)                                             { w.main.recoveryCode() }
func ShowCode(w *Window, code string)                                    { w.main.showCode(code) }
func DeleteAccount(w *Window)                                            { w.main.deleteAccount() }
func AdoptPassword(w *Window)                                            { w.main.adoptPassword() }
func Blocking(w *Window)                                                 { w.main.blocking() }
func ListMenu(w *Window, i controller.ConversationItem) []*fyne.MenuItem { return w.main.listMenu(i) }

func Reports(w *Window)      { w.main.reports() }
func BannedPeople(w *Window) { w.main.bannedPeople() }
func ChooseReport(w *Window) { w.main.open.chooseReport() }
func Report(w *Window)       { w.main.open.report(w.main.open.c.Reportable()[0]) }
func BanSomebody(w *Window)  { w.main.ban(w.main.c.Ban(), func() {}) }

// CloseSheet closes the uppermost sheet.
func CloseSheet(w *Window) {
	if s := widgets.TopSheet(w.win.Canvas()); s != nil {
		s.Close()
	}
}
