"""Pages from Jinja2 templates."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(package: str, template: str, **values: object) -> str:
    """Return a page: a template of a package, filled with values.

    In a template whose name ends in ``.html``, every value is shown as text, also one
    that looks like HTML; only ``markupsafe.Markup`` is inserted as it is.

    Args:
        package: Its folder ``templates`` has the template.
        template: The file's name.
        values: By the names that the template uses.

    Raises:
        jinja2.TemplateNotFound: If there is no such template.
        jinja2.UndefinedError: If the template uses a name that has no value.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
