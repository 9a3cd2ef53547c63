"""The command line: one module per command, each of which imports what it needs when it is called."""

from typer import Typer


def main() -> None:
    """Run the command that the arguments name."""
    build()()


def build() -> Typer:
    """The commands and their options."""
    from tradesense.cli import config, demo, doctor, importing, report, serve, user

    app = Typer(
        name="tradesense",
        help="From a broker's file to trades, statistics and insight.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.command()(serve.serve)
    app.command()(report.report)
    app.command("import")(importing.import_files)
    app.command()(demo.demo)
    app.command()(doctor.doctor)
    users = Typer(help="The users of this instance.", no_args_is_help=True)
    users.command()(user.create)
    users.command()(user.promote)
    users.command()(user.disable)
    app.add_typer(users, name="user")
    configuration = Typer(help="What the program would run with.", no_args_is_help=True)
    configuration.command()(config.check)
    configuration.command()(config.show)
    app.add_typer(configuration, name="config")
    return app
