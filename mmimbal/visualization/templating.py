"""Render Jinja2 templates."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(package: str, template: str, **values: object) -> str:
    """Render a template of a package.

    If the name of the template ends in ``.html``, all values are escaped, except
    ``markupsafe.Markup``.

    Args:
        package: Name of the package; the template is in its folder ``templates``.
        template: File name of the template.
        values: Values of the variables in the template.

    Raises:
        jinja2.TemplateNotFound: If there is no such template.
        jinja2.UndefinedError: If a variable of the template has no value.
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
