package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"quicprochat/core/client"
	"quicprochat/core/version"
	"quicprochat/ui/controller"
	"quicprochat/ui/drive"
	"quicprochat/ui/theme"
	"quicprochat/ui/view"
)

// appID names the app to the desktop. The toolkit keeps files under it, so each
// profile has one of its own.
func appID(profile string) string {
	return fmt.Sprintf("chat.quicpro.desktop.%08x", crc32.ChecksumIEEE([]byte(filepath.Clean(profile))))
}

var errNoDisplay = errors.New("there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set")

// desktop shows the window until the app is quit.
func desktop(profile, mode, script string) error {
	if runtime.GOOS == "linux" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return errNoDisplay
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	name, _ := os.Hostname()
	hosted := newHost(profile, log)
	prefs := controller.LoadPreferences(profile)
	if mode == "" {
		mode = prefs.Theme
	}
	prefs.Theme = string(theme.ParseMode(mode))
	toolkit := app.NewWithID(appID(profile))
	toolkit.SetIcon(theme.AppIcon())
	toolkit.Settings().SetTheme(theme.New(theme.ParseMode(mode)))
	sdk := ownerSDK{controller.Profile{Options: client.Options{Dir: profile, DeviceName: name, Logger: log}}, hosted}
	screens := controller.NewApp(controller.NewLoop(fyne.Do), sdk, hosted, prefs)
	screens.Version = version.Version
	quit := quitter(toolkit, screens, hosted, log)
	window := view.New(toolkit.NewWindow("quicprochat"), screens, quit)

	life := toolkit.Lifecycle()
	life.SetOnStarted(screens.Start)
	if script == "" { // a script reads what it opens, wherever the focus is
		life.SetOnEnteredForeground(func() { window.SetActive(true) })
		life.SetOnExitedForeground(func() { window.SetActive(false) })
	}
	signals, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(signals, func() { fyne.Do(quit) })
	if script != "" {
		in, err := input(script)
		if err != nil {
			return err
		}
		driver := &drive.Driver{App: screens, Capture: window.Capture, Quit: quit}
		go func() {
			if err := driver.Run(in, os.Stdout); err != nil {
				log.Error("driving ended", "error", err)
			}
		}()
	}
	window.Show()
	toolkit.Run()
	return nil
}

func input(script string) (io.Reader, error) {
	if script == "-" {
		return os.Stdin, nil
	}
	return os.Open(script)
}

// quitter returns what ends the app cleanly, once: the vault is closed and the
// server stopped while the window is already gone.
func quitter(toolkit fyne.App, screens *controller.App, hosted *host, log *slog.Logger) func() {
	quitting := false
	return func() {
		if quitting {
			return
		}
		quitting = true
		for _, w := range toolkit.Driver().AllWindows() {
			w.Hide()
		}
		screens.Close(func(err error) {
			if err != nil {
				log.Error("closing the profile", "error", err)
			}
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := hosted.Shutdown(ctx); err != nil {
					log.Error("stopping the server", "error", err)
				}
				fyne.Do(toolkit.Quit)
			}()
		})
	}
}
