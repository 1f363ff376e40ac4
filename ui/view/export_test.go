package view

import "quicprochat/ui/widgets"

// The dialogs, for the tests.

func NewGroup(w *Window) { w.main.newGroup() }
func NewChat(w *Window)  { w.main.newChat() }
func Members(w *Window)  { w.main.open.showMembers() }
func Rename(w *Window)   { w.main.open.rename() }
func Leave(w *Window)    { w.main.open.leave() }
func Settings(w *Window) { w.main.settings() }
func Invite(w *Window)   { w.main.invite() }

// CloseSheet closes the uppermost sheet.
func CloseSheet(w *Window) {
	if s := widgets.TopSheet(w.win.Canvas()); s != nil {
		s.Close()
	}
}
